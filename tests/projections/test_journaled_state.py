"""One journal and the state folded from it: decide, write, see; and what failing, full and closed disks cost."""

import errno
import threading
from collections.abc import Callable, Sequence

import pytest

from rap_journal.errors import MisuseError, OutcomeUnknown, Poisoned
from rap_projections.event_kinds import Event
from rap_projections.node_time import Now
from rap_projections.policy import Policy
from rap_projections.receipts import Receipt
from rap_projections.refusals import RefusedError
from rap_projections.testing import Fabric, memory_store
from tests.projections.store_kit import FOLDER, Ready, core_of, fill, flag, furnished, ready, written

JOURNAL = f"{FOLDER}/journal/*"


def test_a_state_restored_from_a_checkpoint_alone_is_at_the_last_durable_lsn() -> None:
    kit = memory_store()
    fabric = Fabric("lab")
    cluster = kit.join(fabric)
    cluster.activate(fabric.peers(["node-1"]))
    cluster.peers.observe("node-1", rtt_ms=12.5)
    cluster.flush()
    before = cluster.view(digest=True)
    written_ = cluster.checkpoint()
    assert (written_.lsn, written_.digest) == (before.lsn, before.digest)

    # The event that tells of the checkpoint waits for its frame: it dies with the process, and nothing is left to replay.
    kit.kill()
    again = kit.store.cluster("lab")
    assert (again.recovery.checkpoint_lsn, again.recovery.record_count) == (before.lsn, 0)
    assert again.view(digest=True) == before
    assert again.health.heartbeat().at_lsn == before.lsn


def test_a_durable_call_wakes_the_housekeeper_which_brings_the_witness_up_to_date() -> None:
    kit = memory_store()
    cluster = kit.join(Fabric("lab"))
    core, woken = cluster._core, []
    core.machine = core.machine._replace(wake=lambda: woken.append(core.journal.durable_lsn))
    receipt = cluster.health.partition("site-b", on=True)
    assert woken == [receipt.lsn]
    assert not cluster.is_idle
    kit.clock.advance(seconds=0.05)
    cluster.tick()
    assert cluster.is_idle
    assert core.journal.witnessed_lsn == receipt.lsn


def test_what_is_decided_is_visible_and_durable_when_the_call_returns() -> None:
    it = ready()
    seen: list[int] = []

    def decide(now: Now) -> Sequence[Event]:
        seen.append(it.cluster.view().lsn)
        return flag("a")

    receipt = core_of(it).execute("health", decide)
    assert receipt == Receipt(seen[0] + 1, True, True)
    assert it.cluster.view().health.partition_flags == ("a",)
    it.kit.power_cut()
    assert it.cluster.view().health.partition_flags == ("a",)


def test_a_command_that_raises_or_decides_nothing_writes_nothing() -> None:
    it = ready()
    before, frames = it.cluster.digest(), core_of(it).journal.frames_written

    def refuse(now: Now) -> Sequence[Event]:
        raise RefusedError("no")

    with pytest.raises(RefusedError):
        core_of(it).execute("health", refuse)
    assert core_of(it).execute("health", lambda now: ()).changed is False
    assert (it.cluster.digest(), core_of(it).journal.frames_written) == (before, frames)


def in_threads(work: Callable[[int], object], count: int) -> list[BaseException]:
    """Run `work(0)` to `work(count - 1)` at once; returns what they raised."""
    start = threading.Barrier(count)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        start.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001  # whatever it is, the test looks at it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return errors


def test_commands_of_one_subject_see_each_others_outcome() -> None:
    it = ready()

    def count_up(now: Now) -> Sequence[Event]:
        return flag(f"n{len(it.cluster.view().health.partition_flags)}")

    assert in_threads(lambda number: [core_of(it).execute("health", count_up) for _ in range(25)], 8) == []
    # Had two of them decided on the same state, a flag would have been set twice and one would be missing.
    assert it.cluster.view().health.partition_flags == tuple(sorted(f"n{number}" for number in range(200)))


def test_commands_of_different_subjects_share_frames_and_all_are_told_their_own_lsn() -> None:
    it = ready()
    frames = core_of(it).journal.frames_written
    lsns: list[int] = []

    def work(number: int) -> None:
        for again in range(25):
            receipt = core_of(it).execute(f"subject-{number}", lambda now, name=f"f{number}-{again}": flag(name))  # type: ignore[misc]  # bound per round
            assert receipt.lsn is not None and receipt.durable
            lsns.append(receipt.lsn)

    assert in_threads(work, 8) == []
    assert len(set(lsns)) == 200
    told = {record.lsn: record.body[0] for record in written(it)}
    assert {told[lsn] for lsn in lsns} == {f"f{number}-{again}" for number in range(8) for again in range(25)}
    assert core_of(it).journal.frames_written - frames <= 200
    digest = it.cluster.digest()
    it.kit.power_cut()
    assert it.cluster.digest() == digest


def test_the_same_command_from_many_threads_is_carried_out_once() -> None:
    it = ready()
    receipts: list[Receipt] = []
    assert in_threads(lambda number: receipts.append(it.cluster.health.partition("a", on=True)), 16) == []
    assert sorted(receipt.changed for receipt in receipts) == [False] * 15 + [True]


def test_readers_never_wait_for_the_disk_and_never_see_half_a_frame() -> None:
    it = ready()
    torn: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            flags = it.cluster.view().health.partition_flags
            if len(flags) % 2:
                torn.append(flags)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        core_of(it).execute("health", lambda now, number=number: (*flag(f"a{number}"), *flag(f"b{number}")))  # type: ignore[misc]  # bound per round
    done.set()
    reader.join()
    assert torn == []


def first(it: Ready) -> bytes:
    return it.fabric.services(["svc-z"])


FAILURES = {
    "the write of a frame": ("write", JOURNAL),
    "the sync of a frame": ("sync", JOURNAL),
    "the write of the witness": ("write", f"{FOLDER}/WITNESS"),
    "the sync of the witness": ("sync", f"{FOLDER}/WITNESS"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_write_poisons_until_reopened_and_a_repeated_call_ends_where_it_should(failure: str) -> None:
    it = furnished()
    cluster, before = it.cluster, it.cluster.view().snapshots
    # A strict command writes frame and witness.
    it.kit.filesystem.fail(*FAILURES[failure], errno.EIO)
    document = it.fabric.peers(["node-9"])
    with pytest.raises(OutcomeUnknown) as unknown:
        cluster.activate(document)
    assert (unknown.value.action, unknown.value.cluster) == ("reopen", "lab")
    assert cluster.status()["writer"]["is_poisoned"] is True
    digest = cluster.digest()
    calls: list[Callable[[], object]] = [
        lambda: cluster.note("x"),
        lambda: cluster.activate(first(it)),
        cluster.flush,
        cluster.checkpoint,
    ]
    for call in calls:
        with pytest.raises(Poisoned):
            call()
    assert cluster.digest() == digest
    if failure.endswith("frame"):
        assert cluster.view().snapshots == before, "what is not durable is not visible"
    cluster.reopen()
    assert cluster.status()["writer"]["is_poisoned"] is False
    assert cluster.recovery.is_damage is False
    cluster.activate(document)
    assert tuple(cluster.view().peers.peers) == ("node-9",)
    digest = cluster.digest()
    it.kit.power_cut()
    assert it.cluster.digest() == digest


def test_everybody_who_waited_is_told_and_handles_stay_valid_over_a_reopening() -> None:
    it = furnished()
    cluster, health, workload = it.cluster, it.cluster.health, it.cluster.workload("svc-a")
    it.kit.filesystem.fail("sync", JOURNAL, errno.EIO, times=None)
    errors = in_threads(lambda number: health.partition(f"f{number}", on=True), 8)
    assert len(errors) == 8 and {type(error) for error in errors} <= {OutcomeUnknown, Poisoned}
    assert any(isinstance(error, OutcomeUnknown) for error in errors)
    it.kit.filesystem.heal()
    cluster.reopen()
    assert it.cluster is cluster and cluster.health is health
    assert health.partition("after", on=True).durable
    assert workload.report(state="running").durable
    assert cluster.routes.best("node-1", channel="interactive") is not None


def test_reopening_on_a_disk_that_still_fails_can_be_tried_again() -> None:
    it = furnished()
    it.kit.filesystem.fail("sync", JOURNAL, errno.EIO, times=None)
    with pytest.raises(OutcomeUnknown):
        it.cluster.note("x")
    for _ in range(3):
        with pytest.raises(OSError, match="planned failure"):
            it.cluster.reopen()
        with pytest.raises(Poisoned):
            it.cluster.note("x")
    it.kit.filesystem.heal()
    it.cluster.reopen()
    assert it.cluster.note("x").durable


def test_a_healthy_cluster_may_be_reopened_while_others_write_to_it() -> None:
    it = ready()
    done = threading.Event()
    refused: list[type[BaseException]] = []

    def write(number: int) -> None:
        again = 0
        while not done.is_set():
            try:
                it.cluster.health.partition(f"f{number}-{again}", on=True)
                again += 1
            except (Poisoned, MisuseError) as error:
                refused.append(type(error))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        it.cluster.reopen()
    done.set()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert set(refused) <= {Poisoned, MisuseError}
    digest = it.cluster.digest()
    it.kit.power_cut()
    assert it.cluster.digest() == digest


def test_observations_that_were_not_durable_are_gone_after_a_reopening_and_later_ones_count() -> None:
    it = furnished()
    it.cluster.peers.observe("node-1", rtt_ms=999)
    it.kit.filesystem.fail("sync", JOURNAL, errno.EIO)
    with pytest.raises(OutcomeUnknown):
        it.cluster.flush()
    it.cluster.reopen()
    it.cluster.peers.observe("node-2", rtt_ms=1)
    it.cluster.flush()
    assert it.cluster.status()["writer"]["is_poisoned"] is False


def test_queued_events_wait_no_longer_than_the_delay_and_ride_with_whoever_comes_first() -> None:
    it = ready(policy=Policy(batch_delay_ms=100))
    lsn = it.cluster.view().lsn
    it.cluster.telemetry.record("relay", "one")
    it.cluster.telemetry.record("relay", "two")
    frames = core_of(it).journal.frames_written
    assert it.cluster.view().lsn == lsn
    it.cluster.health.partition("a", on=True)
    assert (it.cluster.view().lsn, core_of(it).journal.frames_written) == (lsn + 3, frames + 1)
    it.cluster.telemetry.record("relay", "three")
    it.kit.clock.advance(seconds=0.1)
    it.kit.store.tick()
    assert it.cluster.view().lsn == lsn + 4


def test_an_interrupt_while_writing_poisons_and_is_raised() -> None:
    it = ready()
    core = core_of(it)
    apply = core.state.apply

    def interrupted(records: object) -> None:
        raise KeyboardInterrupt

    core.state.apply = interrupted  # type: ignore[method-assign]  # an interrupt comes when it comes
    with pytest.raises(KeyboardInterrupt):
        it.cluster.health.partition("a", on=True)
    core.state.apply = apply  # type: ignore[method-assign]  # the same
    with pytest.raises(Poisoned):
        it.cluster.health.partition("b", on=True)
    it.cluster.reopen()
    assert it.cluster.view().health.partition_flags == ("a",)
    assert it.cluster.health.partition("b", on=True).durable


def test_telemetry_and_contacts_are_queued_without_waiting_for_each_other() -> None:
    it = ready()
    frames = core_of(it).journal.frames_written
    for number in range(500):
        assert it.cluster.telemetry.record("relay", f"number {number}") == Receipt(None, False, True)
        assert it.cluster.health.contact("control-plane", ok=number % 2 == 0) == Receipt(None, False, True)
    assert core_of(it).journal.frames_written == frames
    it.cluster.flush()
    assert core_of(it).journal.frames_written == frames + 1
    assert [record.text for record in it.cluster.telemetry.drain()] == [f"number {number}" for number in range(500)]


def test_whoever_fills_a_frame_commits_the_one_before_it_so_that_memory_is_bounded() -> None:
    it = ready()
    frames = core_of(it).journal.frames_written
    for number in range(3 * 4096):
        it.cluster.health.contact("storage", ok=number % 2 == 0)
    assert core_of(it).journal.frames_written == frames + 2
    it.cluster.health.contact("storage", ok=True)
    assert core_of(it).journal.frames_written == frames + 3


def test_on_a_full_disk_a_full_frame_of_telemetry_is_lost_and_nobody_else_pays_for_it() -> None:
    it = ready()
    fill(it)
    for _ in range(2 * 4096 + 1):
        assert it.cluster.health.contact("storage", ok=False) == Receipt(None, False, True)
    assert it.cluster.health.partition("a", on=True).durable
