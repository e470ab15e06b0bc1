"""Subscribers are told of every event in order, at least once, whatever they or the journal do meanwhile."""

import errno
import threading
from collections.abc import Callable

import pytest

from rap_journal.errors import CursorDiverged, HistoryGone, MisuseError, OutcomeUnknown
from rap_projections import subscriptions
from rap_projections.health_events import PartitionFlagged
from rap_projections.policy import Policy
from rap_projections.subscriptions import ATTEMPTS_MAX, Delivered, Subscription
from rap_projections.testing import Fabric
from tests.projections.store_kit import FOLDER, Ready, furnished, ready, written


class Listener:
    """A subscriber that remembers what it was told."""

    def __init__(self, then: Callable[[Delivered], None] | None = None) -> None:
        self.heard: list[Delivered] = []
        self._then = then

    def __call__(self, delivered: Delivered) -> None:
        self.heard.append(delivered)
        if self._then:
            self._then(delivered)

    @property
    def lsns(self) -> list[int]:
        return [delivered.lsn for delivered in self.heard]


def flags(it: Ready, count: int, *, start: int = 0) -> list[int]:
    """Set so many partition flags, and clear them again where there are many, one durable event each; returns their LSNs."""
    numbers = range(start, start + count)
    return [it.cluster.health.partition(f"flag-{number % 60}", on=number // 60 % 2 == 0).lsn or 0 for number in numbers]


def heard_everything(subscription: Subscription) -> None:
    assert subscription.wait_idle(30)
    subscription.cancel()


def test_a_subscriber_is_told_of_every_event_from_now_on_in_order() -> None:
    it = ready()
    flags(it, 3)
    listener = Listener()
    subscription = it.cluster.subscribe(listener)
    lsns = flags(it, 50, start=3)
    heard_everything(subscription)
    assert listener.lsns == lsns
    assert (subscription.cursor, subscription.lag, subscription.passed_over) == (lsns[-1], 0, 0)
    first = listener.heard[0]
    assert (first.name, first.event, first.record.lsn) == ("PartitionFlagged", PartitionFlagged("flag-3", True), lsns[0])


def test_what_a_subscriber_is_told_is_visible_already() -> None:
    it = ready()
    visible: list[bool] = []
    listener = Listener(lambda delivered: visible.append(delivered.event[0] in it.cluster.view().health.partition_flags))
    subscription = it.cluster.subscribe(listener, kinds={"PartitionFlagged"})
    flags(it, 20)
    heard_everything(subscription)
    assert visible == [True] * 20


def test_from_a_cursor_on_the_past_is_told_before_the_present() -> None:
    it = furnished()
    cursor = 3
    listener = Listener()
    subscription = it.cluster.subscribe(listener, after=cursor)
    lsns = flags(it, 5)
    heard_everything(subscription)
    everything = [record.lsn for record in written(it, cursor)]
    assert listener.lsns == everything and everything[-5:] == lsns
    assert len(set(listener.lsns)) == len(listener.lsns)


def test_from_the_beginning_everything_ever_written_is_told() -> None:
    it = furnished()
    it.cluster.checkpoint()
    it.kit.power_cut()
    listener = Listener()
    heard_everything(it.cluster.subscribe(listener, after=0))
    assert [delivered.name for delivered in listener.heard][:4] == [
        "UptimeDebited",
        "TrustPinned",
        "BundleActivated",
        "SignedInstantSeen",
    ]
    assert listener.lsns == [record.lsn for record in written(it)]


def test_only_the_kinds_asked_for_are_told_and_the_cursor_moves_all_the_same() -> None:
    it = ready()
    listener = Listener()
    subscription = it.cluster.subscribe(listener, kinds={"Note"})
    flags(it, 2)
    it.cluster.note("here")
    last = flags(it, 2, start=2)[-1]
    heard_everything(subscription)
    assert [delivered.event[0] for delivered in listener.heard] == ["here"]
    assert subscription.cursor == last


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(MisuseError) as caught:
        ready().cluster.subscribe(Listener(), kinds={"Note", "Nope"})
    assert caught.value.reason == "unknown_kind" and "'Nope'" in str(caught.value)


def test_rows_of_one_record_count_one_lsn_each() -> None:
    it = furnished()
    listener = Listener()
    subscription = it.cluster.subscribe(listener, kinds={"PeersObserved"})
    it.cluster.peers.observe_many([("node-1", 1.0), ("node-2", 2.0), ("node-1", 3.0)])
    it.cluster.flush()
    heard_everything(subscription)
    (delivered,) = listener.heard
    assert delivered.record.rows == 3
    assert subscription.cursor == delivered.lsn + 2 == it.cluster.view().lsn


def test_a_callback_that_raises_once_is_told_again() -> None:
    it = ready()
    failed: list[int] = []

    def fail_once(delivered: Delivered) -> None:
        if not failed:
            failed.append(delivered.lsn)
            raise RuntimeError("not yet")

    listener = Listener(fail_once)
    subscription = it.cluster.subscribe(listener)
    lsns = flags(it, 3)
    heard_everything(subscription)
    assert listener.lsns == [lsns[0], *lsns]
    assert subscription.passed_over == 0


def test_a_callback_that_always_raises_is_passed_over_and_counted_and_delays_nobody() -> None:
    it = ready()

    def fail(delivered: Delivered) -> None:
        raise RuntimeError("never")

    broken, sound = Listener(fail), Listener()
    subscription, other = it.cluster.subscribe(broken), it.cluster.subscribe(sound)
    lsns = flags(it, 4)
    heard_everything(subscription)
    heard_everything(other)
    assert broken.lsns == [lsn for lsn in lsns for _ in range(ATTEMPTS_MAX)]
    assert (subscription.passed_over, subscription.cursor) == (4, lsns[-1])
    assert sound.lsns == lsns


def test_a_slow_subscriber_holds_up_no_append_and_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "QUEUE_MAX", 8)
    it = ready()
    go_on = threading.Event()

    def wait(delivered: Delivered) -> None:
        go_on.wait(30)

    listener = Listener(wait)
    subscription = it.cluster.subscribe(listener)
    lsns = flags(it, 100)
    assert subscription.lag >= 99 and len(subscription._queue) <= 9
    go_on.set()
    heard_everything(subscription)
    assert listener.lsns == lsns
    assert subscription.passed_over == 0


def test_what_turned_out_durable_after_a_failed_sync_is_told_after_reopening() -> None:
    it = ready()
    listener = Listener()
    subscription = it.cluster.subscribe(listener)
    flags(it, 2)
    # The frame is written and its sync fails: nobody is told, and recovery finds it whole in the page cache.
    it.kit.filesystem.fail("sync", f"{FOLDER}/WITNESS", errno.EIO)
    with pytest.raises(OutcomeUnknown):
        it.cluster.activate(it.fabric.peers(["node-1"]))
    it.cluster.reopen()
    flags(it, 2, start=2)
    heard_everything(subscription)
    assert "SnapshotActivated" in [delivered.name for delivered in listener.heard]
    assert listener.lsns == [record.lsn for record in written(it, listener.lsns[0] - 1)]


def test_a_cancelled_subscriber_is_told_nothing_more() -> None:
    it = ready()
    listener = Listener()
    subscription = it.cluster.subscribe(listener)
    lsns = flags(it, 1)
    heard_everything(subscription)
    flags(it, 3, start=1)
    assert listener.lsns == lsns
    again = it.cluster.subscribe(later := Listener(), after=subscription.cursor)
    heard_everything(again)
    assert [delivered.event for delivered in later.heard] == [PartitionFlagged(f"flag-{number}", True) for number in range(1, 4)]


def test_a_callback_may_cancel_its_own_subscription() -> None:
    it = ready()
    subscription = it.cluster.subscribe(listener := Listener(lambda delivered: subscription.cancel()))
    flags(it, 3)
    subscription._thread.join(30)
    assert len(listener.heard) == 1


def test_closing_the_store_ends_every_subscription() -> None:
    it = ready()
    subscription = it.cluster.subscribe(Listener())
    it.kit.store.close()
    assert not subscription._thread.is_alive()
    with pytest.raises(MisuseError):
        it.kit.store.agent.flag("x", on=True)


def test_a_cursor_of_another_history_is_told_from_one_whose_past_is_gone() -> None:
    it = ready(policy=Policy(history_all_h=0, segment_bytes_max=4096))
    with pytest.raises(CursorDiverged) as diverged:
        it.cluster.subscribe(Listener(), after=10_000)
    assert diverged.value.lsn == 10_000
    for round_number in range(4):
        flags(it, 30, start=30 * round_number)
        it.cluster.checkpoint()
        it.cluster.flush()
    floor = it.cluster.view().health.history.floor_lsn
    assert floor > 0
    with pytest.raises(HistoryGone) as gone:
        it.cluster.subscribe(Listener(), after=floor - 1)
    assert gone.value.oldest_lsn == floor + 1
    listener = Listener()
    heard_everything(it.cluster.subscribe(listener, after=floor))
    assert listener.lsns[0] == floor + 1 and listener.lsns[-1] == it.cluster.view().lsn


def test_two_clusters_subscribers_hear_nothing_of_each_other() -> None:

    it = ready()
    other = it.kit.join(Fabric("other"))
    mine, theirs = Listener(), Listener()
    first, second = it.cluster.subscribe(mine), other.subscribe(theirs)
    flags(it, 3)
    other.note("only here")
    heard_everything(first)
    heard_everything(second)
    assert {delivered.name for delivered in mine.heard} == {"PartitionFlagged"}
    assert [delivered.event[0] for delivered in theirs.heard] == ["only here"]
