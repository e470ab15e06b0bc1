"""The state of the peers class: what it holds, how it is shown, and how a checkpoint keeps it.

Rules this file keeps:

- State is integers in columns indexed by peer number, so that folding a row allocates nothing and a checkpoint is a copy of memory.
- A view is a copy of the columns, made in one go; what is shown of a peer is computed when somebody looks.
- The value is the whole state with its provenance, in arrays and packed columns: equal states have equal values.

What the events do to the state is in `peers`.

Example::

    assert to_value(from_value(value)) == value
    view(state).peers["node-17"].provenance["latency_us"]
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from rap_journal.errors import DamageError
from rap_projections.columns import Column, pack, unpack, zeros
from rap_projections.documents import Version
from rap_projections.event_kinds import PEERS
from rap_projections.peer_directory import EMPTY, Directory
from rap_projections.peer_observations import FailureReason, failure_reason

FRACTION_BITS = 8
"""Averages are kept in 1/256 of their unit, so that rounding is never seen in a whole unit."""

ALL_LOST = 1_000_000 << FRACTION_BITS
"""A packet loss of one million parts per million, in fixed point."""

_HALF = 1 << FRACTION_BITS - 1

UNKNOWN_RELIABILITY = 500
"""Score of a peer of which nothing was seen, of 1000."""

UNKNOWN_WEIGHT = 4
"""It counts as much as this many observations."""

NEVER = (1 << 63) - 1


class PeersState:
    """The peers class. Columns are indexed by peer number, 0 where nothing is known.

    Attributes:
        directory: the signed side.
        failures_max: recent failures kept per peer.
        latency: average round trip in 1/256 µs.
        loss: average loss in 1/256 of a millionth.
        observations: number of observations.
        success_us: node time of the last answer.
        success_lsn: LSN of its row.
        failure_us: node time of the last failure.
        failure_lsn: LSN of its row.
        histories: per peer number, recent failures, oldest first: 8 bytes each, node time << 8 | code.
        oldest_us: node time before which no last observation lies; derived, not part of the value.
    """

    __slots__ = (
        "directory", "failures_max", "latency", "loss", "observations", "success_us", "success_lsn", "failure_us", "failure_lsn",
        "histories", "oldest_us",
    )  # fmt: skip

    def __init__(self) -> None:
        """Nothing is known."""
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.directory = EMPTY
        self.failures_max = 0
        self.histories: dict[int, bytes] = {}
        self.oldest_us = NEVER
        self.latency, self.loss, self.observations = zeros(0), zeros(0), zeros(0)
        self.success_us, self.success_lsn, self.failure_us, self.failure_lsn = zeros(0), zeros(0), zeros(0), zeros(0)

    def copy(self) -> "PeersState":
        """The same state, independent of this one."""
        copy = PeersState()
        copy.directory, copy.failures_max, copy.histories = self.directory, self.failures_max, dict(self.histories)
        copy.set_columns([column[:] for column in self.columns()])
        copy.oldest_us = self.oldest_us
        return copy

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Replace the observed columns by these, in the order of `columns`."""
        self.latency, self.loss, self.observations, self.success_us, self.success_lsn, self.failure_us, self.failure_lsn = columns

    def find_oldest(self) -> int:
        """The oldest of all last observations, node time in microseconds; `NEVER` where nothing was seen. Reads every peer."""
        return min(filter(None, map(max, self.success_us, self.failure_us)), default=NEVER)

    def columns(self) -> tuple[Column, ...]:
        """The observed columns, in the order in which the value has them."""
        return (
            self.latency, self.loss, self.observations, self.success_us, self.success_lsn, self.failure_us, self.failure_lsn
        )  # fmt: skip


class PeerFailure(NamedTuple):
    """One failure: node time in microseconds, and why."""

    at_us: int
    reason: FailureReason


class PeerView(NamedTuple):
    """One peer.

    Attributes:
        id: id of the peer.
        number: its number in this cache.
        endpoints: signed endpoint candidates.
        certificate_fingerprints: signed fingerprints of its certificates.
        roles: signed roles.
        config_version: version of the directory that lists it.
        last_success_us: node time of the last answer, or None.
        last_observed_us: node time of the last observation, or None.
        latency_us: average round trip in microseconds, or None before the first answer.
        packet_loss_ppm: average loss in parts per million, or None before the first observation.
        reliability: see `reliability`.
        observation_count: number of observations.
        failures: recent failures, oldest first.
        provenance: LSN that last set each field, by name of the field.
    """

    id: str
    number: int
    endpoints: tuple[str, ...]
    certificate_fingerprints: tuple[bytes, ...]
    roles: tuple[str, ...]
    config_version: Version
    last_success_us: int | None
    last_observed_us: int | None
    latency_us: int | None
    packet_loss_ppm: int | None
    reliability: int
    observation_count: int
    failures: tuple[PeerFailure, ...]
    provenance: Mapping[str, int]


class PeersView(NamedTuple):
    """The peer cache at one moment: the active snapshot and its version, how many listed peers the limit left out, peers by id."""

    content_id: bytes | None
    version: Version
    left_out: int
    peers: Mapping[str, PeerView]


class PeerFacts(NamedTuple):
    """What choosing a route needs to know of a peer.

    Attributes:
        latency_us: average round trip in microseconds.
        loss_ppm: average loss in parts per million.
        reliability: see `reliability`.
        success_us: node time of the last answer; 0 before the first, when the latency means nothing.
        observed_us: node time of the last observation; 0 before the first, when loss and reliability mean nothing.
        lsn: LSN of the last observation.
    """

    latency_us: int
    loss_ppm: int
    reliability: int
    success_us: int
    observed_us: int
    lsn: int


def reliability(loss_ppm: int, observations: int) -> int:
    """Score of 0 to 1000: the share that was answered lately, drawn towards 500 while little was seen."""
    known = observations * (1000 - loss_ppm // 1000)
    return (UNKNOWN_WEIGHT * UNKNOWN_RELIABILITY + known) // (UNKNOWN_WEIGHT + observations)


def facts(state: PeersState, peer: str) -> PeerFacts | None:
    """What is known of the peer with this id; None for a stranger."""
    number = state.directory.number_of.get(peer)
    if number is None:
        return None
    loss_ppm = state.loss[number] + _HALF >> FRACTION_BITS
    return PeerFacts(
        state.latency[number] + _HALF >> FRACTION_BITS,
        loss_ppm,
        reliability(loss_ppm, state.observations[number]),
        state.success_us[number],
        max(state.success_us[number], state.failure_us[number]),
        max(state.success_lsn[number], state.failure_lsn[number]),
    )


def view(state: PeersState) -> PeersView:
    """The state as it is now, immutable; each peer's view is made when it is asked for."""
    directory = state.directory
    return PeersView(directory.content_id, directory.version, directory.left_out, _FrozenPeers(state.copy()))


def to_value(state: PeersState) -> tuple[Any, ...]:
    """The whole state as arrays and packed columns."""
    numbers = sorted(state.histories)
    histories = [state.histories[number] for number in numbers]
    return (
        state.directory.to_value(),
        state.failures_max,
        tuple([pack("Q", column) for column in state.columns()]),
        (pack("I", numbers), pack("I", map(len, histories)), b"".join(histories)),
    )


def from_value(value: Any) -> PeersState:
    """The inverse of `to_value`. Raises `DamageError` for a value of another shape."""
    state = PeersState()
    try:
        directory, state.failures_max, columns, (numbers, lengths, histories) = value
        state.directory = Directory.from_value(directory)
        state.set_columns([unpack("Q", column) for column in columns])
        state.histories = dict(zip(unpack("I", numbers), _slices(histories, unpack("I", lengths)), strict=True))
        fits = {len(column) for column in state.columns()} <= {len(state.directory.ids)}
    except (TypeError, ValueError, IndexError) as error:
        raise _damaged() from error
    if not fits:
        raise _damaged()
    state.oldest_us = state.find_oldest()
    return state


class _FrozenPeers(Mapping[str, PeerView]):
    """Views of the peers of a state that nobody changes any more."""

    __slots__ = ("_state",)

    def __init__(self, state: PeersState) -> None:
        self._state = state

    def __getitem__(self, peer: str) -> PeerView:
        return _peer_view(self._state, self._state.directory.number_of[peer])

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._state.directory.number_of))

    def __len__(self) -> int:
        return len(self._state.directory.number_of)


def _peer_view(state: PeersState, number: int) -> PeerView:
    directory = state.directory
    entry = directory.entry(number)
    seen = facts(state, entry.id)
    assert seen is not None
    signed, answered = directory.entry_lsn[number], state.success_lsn[number]
    return PeerView(
        entry.id, number, entry.endpoints, entry.certificate_fingerprints, entry.roles, directory.version,
        seen.success_us or None,
        seen.observed_us or None,
        seen.latency_us if seen.success_us else None,
        seen.loss_ppm if seen.observed_us else None,
        seen.reliability,
        state.observations[number],
        tuple([_failure(packed) for packed in unpack("Q", state.histories.get(number, b""))]),
        MappingProxyType({
            "endpoints": signed, "certificate_fingerprints": signed, "roles": signed, "config_version": directory.applied_lsn,
            "last_success_us": answered, "latency_us": answered, "last_observed_us": seen.lsn, "packet_loss_ppm": seen.lsn,
            "reliability": seen.lsn, "observation_count": seen.lsn, "failures": state.failure_lsn[number],
        }),
    )  # fmt: skip


def _failure(packed: int) -> PeerFailure:
    return PeerFailure(packed >> 8, failure_reason(packed & 0xFF))


def _slices(data: bytes, lengths: Iterable[int]) -> Iterator[bytes]:
    start = 0
    for length in lengths:
        yield data[start : start + length]
        start += length


def _damaged() -> DamageError:
    return DamageError(
        "a checkpoint does not hold the peers class; nothing was taken from it. Recovery goes on with an older one.",
        state_class=PEERS.name,
        reason="checkpoint_shape",
    )
