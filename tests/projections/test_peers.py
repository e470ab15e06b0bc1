"""The folds and decisions of the peers class."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.records import Category
from rap_projections import peers
from rap_projections.columns import unpack
from rap_projections.documents import PeerEntry, Version
from rap_projections.event_kinds import PEERS, Event, kind_numbered, kind_of
from rap_projections.lifecycle import ClassReset
from rap_projections.peer_observations import FAILED, FailureReason, ObservationBuffer, PeersObserved
from rap_projections.peers import (
    DirectoryApplied,
    PeersEvicted,
    PeersExpired,
    decide_directory,
    decide_eviction,
    decide_expiry,
    empty,
    next_deadline,
    to_value,
    view,
)
from rap_projections.policy import Policy
from rap_projections.testing.entries import make_peer
from tests.projections.class_log import SECOND, ClassLog, at
from tests.shared_data import shared_data

V1 = Version(1, 1)
NAMES = "abcdef"


def entries(names: str) -> tuple[PeerEntry, ...]:
    return tuple(map(make_peer, names))


def log_of(names: str = NAMES, *others: str) -> ClassLog:
    """A log whose first record applies a directory with one peer per letter; `others` are the bodies of more snapshots."""
    bodies = {listed.encode(): entries(listed) for listed in (names, *others)}
    log = ClassLog(peers, bodies)
    log.append(DirectoryApplied(names.encode(), 1, 1, 100))
    return log


def observe(log: ClassLog, node_us: int, *rows: Any, failures_max: int = 8) -> None:
    buffer = ObservationBuffer(log.state, failures_max=failures_max)
    buffer.observe_many(rows, node_us)
    log.append(*buffer.drain())


def numbers_in(event: Event) -> list[int]:
    assert isinstance(event, (PeersExpired, PeersEvicted))
    return unpack("I", event.numbers).tolist()


# What each kind is.


def test_the_kinds_of_the_class_have_their_numbers() -> None:
    kinds = [kind_of(event) for event in (PeersObserved(1, 1, b"", b"", b"", b"", 8), DirectoryApplied(None, 0, 0, 0))]
    assert [(kind.number, kind.state_class, kind.category) for kind in kinds] == [
        (70, PEERS, Category.OBSERVATION),
        (71, PEERS, Category.DECISION),
    ]
    for number, event in ((72, PeersExpired), (73, PeersEvicted)):
        kind = kind_numbered(number, 1)
        assert kind is not None
        assert (kind.type, kind.category) == (event, Category.EVICTION)


# Averages.


def test_the_first_round_trip_is_the_latency_and_later_ones_move_it_by_an_eighth() -> None:
    log = log_of()
    observe(log, 1 * SECOND, ("a", 80.0))
    assert view(log.state).peers["a"].latency_us == 80_000
    observe(log, 2 * SECOND, ("a", 160.0))
    assert view(log.state).peers["a"].latency_us == 90_000


def test_a_failure_moves_the_loss_and_leaves_the_latency() -> None:
    log = log_of()
    observe(log, 1 * SECOND, ("a", 80.0))
    observe(log, 2 * SECOND, ("a", None, "timeout"))
    peer = view(log.state).peers["a"]
    assert (peer.latency_us, peer.packet_loss_ppm) == (80_000, 125_000)


@pytest.mark.parametrize(("rtt_ms", "loss_ppm"), [(None, 1_000_000), (10.0, 0)])
def test_averages_reach_what_is_seen_again_and_again(rtt_ms: float | None, loss_ppm: int) -> None:
    log = log_of()
    observe(log, 1 * SECOND, ("a", 500.0), ("a", None), *[("a", rtt_ms)] * 300)
    peer = view(log.state).peers["a"]
    assert (peer.packet_loss_ppm, peer.latency_us) == (loss_ppm, 10_000 if rtt_ms else 500_000)


def test_recent_failures_are_bounded_by_the_limit_in_the_event() -> None:
    log = log_of()
    for second in range(1, 6):
        observe(log, second * SECOND, ("a", None, "reset"), ("b", None, "refused"), failures_max=3)
    assert [failure.at_us for failure in view(log.state).peers["a"].failures] == [3 * SECOND, 4 * SECOND, 5 * SECOND]
    observe(log, 6 * SECOND, ("c", 1.0), failures_max=1)
    assert view(log.state).peers["b"].failures == ((5 * SECOND, FailureReason.REFUSED),), "a lower limit holds for all at once"
    observe(log, 7 * SECOND, ("a", None), failures_max=0)
    assert [peer.failures for peer in view(log.state).peers.values()] == [()] * 6


# The directory.


def test_a_new_directory_keeps_what_was_observed_of_peers_that_stay() -> None:
    log = log_of("abc", "bcx")
    observe(log, 1 * SECOND, ("a", None), ("b", None), ("c", 30.0))
    kept = {name: view(log.state).peers[name] for name in "bc"}
    log.append(DirectoryApplied(b"bcx", 1, 2, 100))
    after = view(log.state)
    assert list(after.peers) == ["b", "c", "x"]
    for name, before in kept.items():
        changed: dict[str, Any] = {"config_version": Version(1, 2), "provenance": {**before.provenance, "config_version": 5}}
        assert after.peers[name] == before._replace(**changed)
    assert after.peers["x"][6:13] == (None, None, None, None, 500, 0, ()), "x has the number of a, and nothing of a"
    assert set(after.peers["x"].provenance.values()) == {5}


def test_a_peer_that_comes_back_was_never_seen() -> None:
    log = log_of("ab", "a")
    observe(log, 1 * SECOND, ("b", 5.0), ("b", None))
    log.append(DirectoryApplied(b"a", 1, 2, 100), DirectoryApplied(b"ab", 1, 3, 100))
    assert view(log.state).peers["b"].observation_count == 0
    assert view(log.state).peers["b"].failures == ()


def test_rows_that_waited_while_the_directory_changed_never_go_to_another_peer() -> None:
    log = log_of("abc", "xbc")
    buffer = ObservationBuffer(log.state, failures_max=8)
    buffer.observe_many([("a", 1.0), ("b", 2.0), ("c", None)], 1 * SECOND)
    log.append(DirectoryApplied(b"xbc", 1, 2, 100))
    (event,) = buffer.drain()
    (lsn,) = log.append(event)
    seen = view(log.state).peers
    assert [seen[name].observation_count for name in "xbc"] == [0, 1, 1]
    assert [seen["b"].provenance["latency_us"], seen["c"].provenance["failures"]] == [lsn + 1, lsn + 2]


def test_rows_of_numbers_that_are_free_or_unknown_are_ignored() -> None:
    log = log_of("abc", "c")
    stale = PeersObserved(5, 1, bytes.fromhex("0000 0200 0900"), bytes.fromhex("01000000" * 3), b"", b"", 8)
    log.append(DirectoryApplied(b"c", 1, 2, 100))
    log.append(stale)
    assert log.state.observations.tolist() == [0, 0, 1]
    log.append(stale._replace(numbering_lsn=log.state.directory.numbering_lsn))
    assert log.state.observations.tolist() == [0, 0, 2]


def test_rows_from_before_a_reset_are_ignored_after_it() -> None:
    log = log_of("abc")
    buffer = ObservationBuffer(log.state, failures_max=8)
    buffer.observe("a", 5, rtt_ms=1)
    log.append(ClassReset(PEERS.number, 0, 0, "checkpoint_damaged"))
    assert log.value() == to_value(empty())
    log.append(DirectoryApplied(b"abc", 1, 1, 100), *buffer.drain())
    assert log.state.observations.tolist() == [0, 0, 0]


def test_applying_the_active_snapshot_again_is_no_event_and_another_limit_is() -> None:
    log = log_of("abc")
    assert decide_directory(log.state, b"abc", V1, entries("abc"), Policy(peers_max=100)) == ()
    assert decide_directory(log.state, b"abc", V1, entries("abc"), Policy(peers_max=99)) == (DirectoryApplied(b"abc", 1, 1, 99),)
    assert decide_directory(log.state, None, Version(0, 0), (), Policy(peers_max=100)) == (DirectoryApplied(None, 0, 0, 100),)


def test_a_directory_over_the_limit_evicts_the_least_useful_peers_that_stay() -> None:
    log = log_of("abcd", "bcdx")
    observe(log, 1 * SECOND, ("d", 20.0), ("c", 10.0), ("b", None))
    events = decide_directory(log.state, b"bcdx", Version(1, 2), entries("bcdx"), Policy(peers_max=2))
    assert events == (PeersEvicted(1, bytes.fromhex("01000000"), 2), DirectoryApplied(b"bcdx", 1, 2, 2))
    log.append(*events)
    assert list(view(log.state).peers) == ["c", "d"]
    assert view(log.state).left_out == 2
    assert [peer.latency_us for peer in view(log.state).peers.values()] == [10_000, 20_000]


# Expiry and eviction.


def test_observations_expire_at_the_age_of_the_policy_and_the_directory_stays() -> None:
    log = log_of("abc")
    policy = Policy(observation_age_s_max=60)
    observe(log, 10 * SECOND, ("a", 5.0))
    observe(log, 30 * SECOND, ("b", None))
    assert next_deadline(log.state, policy) == 70 * SECOND
    assert decide_expiry(log.state, at(70 * SECOND - 1), policy) == ()
    events = decide_expiry(log.state, at(70 * SECOND), policy)
    assert events == (PeersExpired(1, bytes(4), 10 * SECOND),)
    (lsn,) = log.append(*events)
    peer = view(log.state).peers["a"]
    assert (peer.latency_us, peer.last_observed_us, peer.observation_count) == (None, None, 0)
    assert (peer.endpoints, peer.provenance["endpoints"], peer.provenance["latency_us"]) == (make_peer("a").endpoints, 1, lsn)
    assert view(log.state).peers["b"].failures == ((30 * SECOND, FailureReason.LOST),)
    assert next_deadline(log.state, policy) == 90 * SECOND
    log.append(*decide_expiry(log.state, at(90 * SECOND), policy))
    assert next_deadline(log.state, policy) is None
    assert log.state.histories == {}


def test_a_peer_that_was_seen_again_meanwhile_is_not_forgotten() -> None:
    log = log_of("abc")
    observe(log, 10 * SECOND, ("a", 5.0), ("b", 5.0))
    events = decide_expiry(log.state, at(70 * SECOND), Policy(observation_age_s_max=60))
    observe(log, 71 * SECOND, ("b", None))
    log.append(*events)
    assert log.state.observations.tolist() == [0, 2, 0]


def test_expiry_never_reaches_the_peer_that_took_a_number_over() -> None:
    log = log_of("a", "x")
    observe(log, 10 * SECOND, ("a", 5.0))
    (event,) = decide_expiry(log.state, at(70 * SECOND), Policy(observation_age_s_max=60))
    log.append(DirectoryApplied(b"x", 1, 2, 100))
    observe(log, 10 * SECOND, ("x", 5.0))
    log.append(event)
    assert view(log.state).peers["x"].observation_count == 1


def test_a_deadline_at_which_nothing_expired_is_followed_by_one_at_least_a_64th_of_the_age_later() -> None:
    log = log_of("ab")
    policy = Policy(observation_age_s_max=64)
    observe(log, 1 * SECOND, ("a", 5.0))
    observe(log, 1 * SECOND + 1, ("b", 5.0))
    observe(log, 50 * SECOND, ("a", 5.0))
    assert next_deadline(log.state, policy) == 65 * SECOND, "a was seen again, which no bookkeeping per row recorded"
    before = log.value()
    assert decide_expiry(log.state, at(65 * SECOND), policy) == ()
    assert log.value() == before
    assert next_deadline(log.state, policy) == 66 * SECOND
    (event,) = decide_expiry(log.state, at(66 * SECOND), policy)
    assert numbers_in(event) == [1]


def test_many_expired_peers_are_split_over_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "NUMBERS_PER_EVENT_MAX", 2)
    log = log_of("abcde")
    observe(log, 10 * SECOND, *[(name, 1.0) for name in "abcde"])
    events = decide_expiry(log.state, at(9999 * SECOND), Policy(observation_age_s_max=60))
    assert [numbers_in(event) for event in events] == [[0, 1], [2, 3], [4]]
    log.append(*events)
    assert log.state.observations.tolist() == [0] * 5


def test_a_limit_that_fell_evicts_unseen_then_unreliable_then_slow_peers() -> None:
    log = log_of("abcdef")
    observe(log, 1 * SECOND, ("a", 9.0), ("b", 1.0), ("c", None), ("d", 5.0))
    order = []
    for peers_max in (5, 4, 3, 2, 1, 0):
        before = set(view(log.state).peers)
        log.append(*decide_eviction(log.state, Policy(peers_max=peers_max)))
        order += sorted(before - set(view(log.state).peers))
    assert order == ["f", "e", "c", "a", "d", "b"]
    assert (log.state.directory.left_out, len(log.state.observations)) == (6, 0)


def test_within_the_limit_nobody_is_evicted() -> None:
    assert decide_eviction(log_of("abc").state, Policy(peers_max=3)) == ()


# Against a model, row by row.


@dataclass
class ModelPeer:
    """What the class should know of a peer, computed the obvious way."""

    latency: int | None = None
    loss: int = 0
    count: int = 0
    success: tuple[int, int] = (0, 0)
    failure: tuple[int, int] = (0, 0)
    failures: list[tuple[int, int]] = field(default_factory=list)

    def see(self, rtt_us: int, code: int, at_us: int, lsn: int) -> None:
        self.count += 1
        if rtt_us == FAILED:
            self.loss += -((self.loss - 256_000_000) // 8)
            self.failure = (at_us, lsn)
            self.failures = [*self.failures, (at_us, code)][-3:]
        else:
            self.loss -= -(-self.loss // 8)
            self.latency = rtt_us * 256 if self.latency is None else self.latency + (rtt_us * 256 - self.latency) // 8
            self.success = (at_us, lsn)


Batch = tuple[int, list[tuple[str, float | None, str | None]]]
ROW = st.one_of(
    st.tuples(st.sampled_from(NAMES), st.floats(0, 4_294_000), st.none()),
    st.tuples(st.sampled_from(NAMES), st.none(), st.sampled_from([reason.word for reason in FailureReason])),
)
BATCHES = st.lists(st.tuples(st.integers(0, 5_000_000), st.lists(ROW, max_size=12)), max_size=12)


def encoded(batches: list[Batch], log: ClassLog, drain_after: set[int]) -> list[PeersObserved]:
    """The events of `batches`, when the buffer is drained after these batches and at the end."""
    buffer = ObservationBuffer(log.state, failures_max=3)
    events: list[PeersObserved] = []
    node_us = 1
    for index, (pause_us, rows) in enumerate(batches):
        node_us += pause_us
        buffer.observe_many(rows, node_us)
        if index in drain_after:
            events += buffer.drain()
    return [*events, *buffer.drain()]


@given(BATCHES)
def test_folding_columns_is_folding_row_by_row(batches: list[Batch]) -> None:
    log = log_of()
    events = encoded(batches, log, set())
    model = {number: ModelPeer() for number in range(len(NAMES))}
    lsn = log.last_lsn
    for event in events:
        for number, rtt_us, code, at_us in event.rows():
            lsn += 1
            model[number].see(rtt_us, code, at_us, lsn)
    log.append(*events)
    state = log.state
    for number, peer in model.items():
        assert state.latency[number] == (peer.latency or 0)
        assert (state.loss[number], state.observations[number]) == (peer.loss, peer.count)
        assert (state.success_us[number], state.success_lsn[number]) == (peer.success if peer.success[0] else (0, 1))
        assert (state.failure_us[number], state.failure_lsn[number]) == (peer.failure if peer.failure[0] else (0, 1))
        shown = view(state).peers[NAMES[number]]
        assert [(failure.at_us, failure.reason.value) for failure in shown.failures] == peer.failures


@given(BATCHES, st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)))
def test_how_rows_are_split_into_events_changes_nothing(batches: list[Batch], one: set[int], other: set[int]) -> None:
    values = []
    for drain_after in (one, other):
        log = log_of()
        log.append(*encoded(batches, log, drain_after))
        values.append(log.value())
    assert values[0] == values[1]


@given(BATCHES, st.integers(0, 12))
def test_going_on_from_a_checkpoint_changes_nothing(batches: list[Batch], checkpoint_after: int) -> None:
    whole, interrupted = log_of(), log_of()
    for index, event in enumerate(encoded(batches, whole, set(range(12)))):
        if index == checkpoint_after:
            interrupted.reload()
        whole.append(event)
        interrupted.append(event)
    assert whole.value() == interrupted.value()


@given(
    st.lists(st.one_of(st.sampled_from(["abcdef", "abx", "fedx", "", "bdfx"]), st.tuples(st.integers(0, 90), ROW)), max_size=20)
)
def test_bounds_hold_and_replay_agrees_whatever_happens(steps: list[Any]) -> None:
    bodies = {listed.encode(): entries(listed) for listed in ("abcdef", "abx", "fedx", "", "bdfx")}
    log, replay = ClassLog(peers, bodies), ClassLog(peers, bodies)
    policy = Policy(peers_max=4, observation_age_s_max=60)
    node_us = SECOND
    for step in steps:
        if isinstance(step, str):
            events = decide_directory(log.state, step.encode(), Version(1, len(step)), entries(step), policy)
        else:
            node_us += step[0] * SECOND
            buffer = ObservationBuffer(log.state, failures_max=2)
            buffer.observe_many([step[1]], node_us)
            events = (*buffer.drain(), *decide_expiry(log.state, at(node_us), policy))
        for each in (log, replay):
            each.append(*events)
        replay.reload()
        assert log.value() == replay.value()
        assert len(log.state.directory.number_of) <= 4
        assert all(len(history) <= 2 * 8 for history in log.state.histories.values())
        assert {len(column) for column in log.state.columns()} == {len(log.state.directory.ids)}
        assert log.state.oldest_us <= log.state.find_oldest()


def test_a_day_of_measured_round_trips_folds_alike_in_any_split() -> None:
    from rap_tools.traces import LatencyTrace

    trace = LatencyTrace.open(shared_data("net-latency", "seattle"))
    names = sorted(trace.node_name(node) for node in range(trace.node_count))
    bodies = {b"1": tuple(map(make_peer, names))}
    values = []
    for slices_per_event in (1, 7):
        log = ClassLog(peers, bodies)
        log.append(DirectoryApplied(b"1", 1, 1, 1000))
        buffer = ObservationBuffer(log.state, failures_max=8)
        for slice_index, row in trace.rows(node=17):
            buffer.observe_many([(trace.node_name(peer), rtt_ms) for peer, rtt_ms in row], slice_index * 60 * SECOND)
            if slice_index % slices_per_event == 0:
                log.append(*buffer.drain())
        log.append(*buffer.drain())
        values.append(log.value())
    assert values[0] == values[1]
    assert sum(log.state.observations) == trace.slices * (trace.node_count - 1)
