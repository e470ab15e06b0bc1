"""How the state of the peers class is shown and kept."""

from typing import Any

import pytest

from rap_journal.errors import DamageError
from rap_projections import peers
from rap_projections.documents import Version
from rap_projections.peer_observations import FailureReason, ObservationBuffer
from rap_projections.peer_state import PeerFacts, PeerFailure, PeersState, facts, from_value, reliability, to_value, view
from rap_projections.peers import DirectoryApplied
from rap_projections.testing.entries import make_peer
from tests.projections.class_log import SECOND, ClassLog


def observed_log() -> ClassLog:
    """Peers a, b and c; LSN 1 is the directory, 2 to 5 are rows of a, a, b, a."""
    log = ClassLog(peers, {b"1": tuple(map(make_peer, "abc"))})
    log.append(DirectoryApplied(b"1", 1, 4, 100))
    buffer = ObservationBuffer(log.state, failures_max=8)
    buffer.observe("a", 1 * SECOND, rtt_ms=100)
    buffer.observe("a", 2 * SECOND, failure="timeout")
    buffer.observe("b", 3 * SECOND, failure="refused")
    buffer.observe("a", 4 * SECOND, rtt_ms=108)
    log.append(*buffer.drain())
    return log


def test_a_peer_shows_signed_entry_hints_and_what_set_each() -> None:
    peer = view(observed_log().state).peers["a"]
    entry = make_peer("a")
    assert peer[:6] == ("a", 0, entry.endpoints, entry.certificate_fingerprints, entry.roles, Version(1, 4))
    assert (peer.last_success_us, peer.last_observed_us) == (4 * SECOND, 4 * SECOND)
    assert peer.latency_us == 101_000, "100 ms, and an eighth of the way to 108 ms"
    assert peer.packet_loss_ppm == 109_375, "an eighth of all, less an eighth of that"
    assert peer.observation_count == 3
    assert peer.reliability == reliability(109_375, 3) == (2000 + 3 * 891) // 7
    assert peer.failures == (PeerFailure(2 * SECOND, FailureReason.TIMEOUT),)
    assert dict(peer.provenance) == {
        "endpoints": 1, "certificate_fingerprints": 1, "roles": 1, "config_version": 1, "last_success_us": 5, "latency_us": 5,
        "last_observed_us": 5, "packet_loss_ppm": 5, "reliability": 5, "observation_count": 5, "failures": 3,
    }  # fmt: skip


def test_a_peer_that_never_answered_has_no_latency() -> None:
    peer = view(observed_log().state).peers["b"]
    assert (peer.latency_us, peer.last_success_us, peer.packet_loss_ppm, peer.last_observed_us) == (
        None,
        None,
        125_000,
        3 * SECOND,
    )


def test_a_peer_that_was_never_seen_shows_the_directory_alone() -> None:
    peer = view(observed_log().state).peers["c"]
    assert peer[6:13] == (None, None, None, None, 500, 0, ())
    assert set(peer.provenance.values()) == {1}


def test_a_view_holds_the_snapshot_and_its_peers_by_id() -> None:
    seen = view(observed_log().state)
    assert (seen.content_id, seen.version, seen.left_out) == (b"1", Version(1, 4), 0)
    assert list(seen.peers) == ["a", "b", "c"]
    assert len(seen.peers) == 3
    assert "x" not in seen.peers
    with pytest.raises(KeyError):
        seen.peers["x"]


def test_a_view_stays_as_it_was_taken() -> None:
    log = observed_log()
    before = view(log.state)
    shown = dict(before.peers)
    buffer = ObservationBuffer(log.state, failures_max=1)
    buffer.observe_many([("a", 1.0), ("b", None, "reset"), ("c", 1.0)], 9 * SECOND)
    log.append(*buffer.drain(), DirectoryApplied(None, 0, 0, 100))
    assert dict(before.peers) == shown
    assert dict(view(log.state).peers) == {}


def test_nothing_of_a_view_can_be_set() -> None:
    seen = view(observed_log().state)
    with pytest.raises(TypeError):
        seen.peers["a"] = seen.peers["b"]  # type: ignore[index]  # that this cannot be done is the finding
    with pytest.raises(TypeError):
        seen.peers["a"].provenance["latency_us"] = 0  # type: ignore[index]  # as above


def test_facts_are_what_routes_need() -> None:
    state = observed_log().state
    assert facts(state, "a") == PeerFacts(101_000, 109_375, reliability(109_375, 3), 4 * SECOND, 4 * SECOND, 5)
    assert facts(state, "b") == PeerFacts(0, 125_000, reliability(125_000, 1), 0, 3 * SECOND, 4)
    assert facts(state, "c") == PeerFacts(0, 0, 500, 0, 0, 1)
    assert facts(state, "x") is None


@pytest.mark.parametrize(
    ("loss_ppm", "observations", "score"),
    [(0, 0, 500), (1_000_000, 0, 500), (0, 1, 600), (0, 4, 750), (0, 10_000, 999), (1_000_000, 4, 250), (1_000_000, 10_000, 0)],
)
def test_reliability_starts_in_the_middle_and_follows_what_was_seen(loss_ppm: int, observations: int, score: int) -> None:
    assert reliability(loss_ppm, observations) == score


def test_the_value_reads_back_and_goes_on_alike() -> None:
    log = observed_log()
    copy = ClassLog(peers, {b"1": tuple(map(make_peer, "abc"))}, last_lsn=log.last_lsn)
    copy.state = from_value(to_value(log.state))
    assert to_value(copy.state) == to_value(log.state)
    assert copy.state.oldest_us == 3 * SECOND, "b was seen last at 3 s, a later"
    for both in (log, copy):
        buffer = ObservationBuffer(both.state, failures_max=1)
        buffer.observe_many([("a", None), ("b", 5.0)], 10 * SECOND)
        both.append(*buffer.drain())
    assert to_value(copy.state) == to_value(log.state)


def test_an_empty_state_has_a_value() -> None:
    assert to_value(from_value(to_value(PeersState()))) == to_value(PeersState())


@pytest.mark.parametrize("index", [0, 2, 3])
@pytest.mark.parametrize("wrong", [None, 7, (), (b"123",), "text"])
def test_a_value_of_another_shape_is_damage(index: int, wrong: Any) -> None:
    value: list[Any] = list(to_value(observed_log().state))
    value[index] = wrong
    with pytest.raises(DamageError) as caught:
        from_value(value)
    assert caught.value.facts() == {"state_class": "peers", "reason": "checkpoint_shape"}


@pytest.mark.parametrize("column", range(7))
def test_a_value_with_a_short_column_is_damage(column: int) -> None:
    directory, failures_max, columns, histories = to_value(observed_log().state)
    short = (*columns[:column], columns[column][:-8], *columns[column + 1 :])
    with pytest.raises(DamageError):
        from_value((directory, failures_max, short, histories))
