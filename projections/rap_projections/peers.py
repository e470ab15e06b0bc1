"""The peers class (kinds 70 to 79): the signed directory, and beside it what this node saw of each peer.

Rules this file keeps:

- The directory side comes from the signed snapshot alone, the hint side from observations alone. A hint never becomes a peer, an
  endpoint or a role (spec 4, peer cache).
- A new directory keeps what was observed of the peers that stay, and forgets those that go.
- Everything is bounded: peers by `peers_max`, failures per peer by `failures_max`, age by the policy. Limits that shape state
  travel in the events.
- Averages are exponential with weight 1/8, in integers, rounded towards the new value so that they reach it.

What routes are made of it is left to `routes`.

Example::

    state = empty()
    FOLDS[DirectoryApplied](state, event, record, documents)
    FOLDS[PeersObserved](state, observed, record, documents)
    view(state).peers["node-17"].latency_us
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from rap_journal.records import Category, Record
from rap_projections.columns import pack, unpack, zeros
from rap_projections.documents import Documents, PeerEntry, Version
from rap_projections.event_kinds import PEERS, Event, event_kind
from rap_projections.lifecycle import ClassReset
from rap_projections.node_time import Now
from rap_projections.peer_directory import Directory
from rap_projections.peer_observations import FAILED, PeersObserved
from rap_projections.peer_state import ALL_LOST, FRACTION_BITS, NEVER, PeersState, facts, from_value, reliability, to_value, view
from rap_projections.policy import Policy

__all__ = [
    "FOLDS", "DirectoryApplied", "PeersEvicted", "PeersExpired", "PeersObserved", "PeersState", "decide_directory",
    "decide_eviction", "decide_expiry", "empty", "facts", "from_value", "next_deadline", "to_value", "view",
]  # fmt: skip

WEIGHT_SHIFT = 3
"""An average moves by 1/8 of the difference to each new value."""

ROUND_UP = (1 << WEIGHT_SHIFT) - 1
"""Added before the shift, it makes a share that is left over at least one unit: a loss that is over reaches zero."""

NUMBERS_PER_EVENT_MAX = 16_384
"""Peers named by one event: 64 KiB."""

SCANS_PER_AGE = 64
"""Observations are looked through for expired ones at most this often within the age they may reach."""


@event_kind(71, state_class=PEERS, category=Category.DECISION, sensitivity="digest, open, open, open")
class DirectoryApplied(NamedTuple):
    """The signed peer directory in force changed. The same one may be applied again: that changes nothing.

    Attributes:
        content_id: content id of the active peers snapshot, or None when none is active any more.
        generation: its generation; 0 without a snapshot.
        version: its version; 0 without a snapshot.
        peers_max: peers that are kept of it.
    """

    content_id: bytes | None
    generation: int
    version: int
    peers_max: int


@event_kind(72, state_class=PEERS, category=Category.EVICTION, sensitivity="open, open, open")
class PeersExpired(NamedTuple):
    """What was observed of these peers is too old and is forgotten, unless they were seen again meanwhile. They stay listed.

    Attributes:
        numbering_lsn: LSN of the record that made the numbering used.
        numbers: column of peer numbers, 4 bytes each.
        cutoff_us: node time; only observations from it or before are forgotten.
    """

    numbering_lsn: int
    numbers: bytes
    cutoff_us: int


@event_kind(73, state_class=PEERS, category=Category.EVICTION, sensitivity="open, open, open")
class PeersEvicted(NamedTuple):
    """The least useful peers leave the cache because the limit fell. The next directory may bring them back.

    Attributes:
        numbering_lsn: LSN of the record that made the numbering used.
        numbers: column of peer numbers, 4 bytes each.
        peers_max: the limit.
    """

    numbering_lsn: int
    numbers: bytes
    peers_max: int


def empty() -> PeersState:
    """No directory, nothing seen."""
    return PeersState()


def decide_directory(
    state: PeersState, content_id: bytes | None, version: Version, entries: Iterable[PeerEntry], policy: Policy
) -> tuple[Event, ...]:
    """Make the entries of this verified snapshot (None: no snapshot) the directory; nothing where they are already.

    Peers that stay and are too many for a limit that fell are evicted first, the least useful ones.
    """
    directory, limit = state.directory, policy.peers_max
    if (directory.content_id, directory.version, directory.peers_max) == (content_id, version, limit):
        return ()
    staying = [directory.number_of[entry.id] for entry in entries if entry.id in directory.number_of]
    return (*_evictions(state, staying, limit), DirectoryApplied(content_id, version.generation, version.version, limit))


def decide_eviction(state: PeersState, policy: Policy) -> tuple[Event, ...]:
    """Evict the least useful peers where the cache holds more than the policy allows."""
    return _evictions(state, list(state.directory.number_of.values()), policy.peers_max)


def decide_expiry(state: PeersState, now: Now, policy: Policy) -> tuple[Event, ...]:
    """Forget what was observed of peers not seen for the policy's age or longer (spec 7)."""
    age_us = policy.observation_age_s_max * 1_000_000
    cutoff_us = now.node_us - age_us
    if state.oldest_us > cutoff_us:
        return ()
    seen = zip(state.success_us, state.failure_us, strict=True)
    expired = [number for number, (success, failure) in enumerate(seen) if 0 < max(success, failure) <= cutoff_us]
    if not expired:
        # Nothing is written, so the bound is moved here: it depends on the state alone, and is no part of its value.
        state.oldest_us = max(state.find_oldest(), cutoff_us + age_us // SCANS_PER_AGE)
    numbering = state.directory.numbering_lsn
    return tuple([PeersExpired(numbering, pack("I", numbers), cutoff_us) for numbers in _chunks(expired)])


def next_deadline(state: PeersState, policy: Policy) -> int | None:
    """Node time at which `decide_expiry` should be asked next, in microseconds; None while nothing can expire.

    Nothing expires earlier. What expires may be found up to 1/64 of the age late, and the time may come without anything expired:
    the store keeps a lower bound of the oldest last observation, which a scan of all peers renews, instead of an order that every
    observed row would have to mend.
    """
    return None if state.oldest_us == NEVER else state.oldest_us + policy.observation_age_s_max * 1_000_000


def _fold_observed(state: PeersState, event: PeersObserved, record: Record, documents: Documents) -> None:
    rows: Iterable[tuple[int, tuple[int, int, int, int]]] = enumerate(event.rows(), record.lsn)
    directory = state.directory
    size = len(directory.ids)
    if event.numbering_lsn != directory.numbering_lsn or max(event.number_column(), default=0) >= size:
        # The directory changed while the rows waited: a number that has gone to another peer since then means nothing here.
        assigned_lsn, last = directory.assigned_lsn, event.numbering_lsn
        rows = [row for row in rows if row[1][0] < size and 0 < assigned_lsn[row[1][0]] <= last]
    if event.failures_max != state.failures_max:
        _limit_histories(state, event.failures_max)
    state.oldest_us = min(state.oldest_us, event.node_us)
    latency, loss, observations = state.latency, state.loss, state.observations
    success_us, success_lsn = state.success_us, state.success_lsn
    for lsn, (number, rtt_us, code, at_us) in rows:
        observations[number] += 1
        lost = loss[number]
        if rtt_us == FAILED:
            loss[number] = lost + (ALL_LOST - lost + ROUND_UP >> WEIGHT_SHIFT)
            _note_failure(state, number, code, at_us, lsn)
            continue
        if lost:
            loss[number] = lost - (lost + ROUND_UP >> WEIGHT_SHIFT)
        average = latency[number]
        sample = rtt_us << FRACTION_BITS
        latency[number] = average + (sample - average >> WEIGHT_SHIFT) if success_us[number] else sample
        success_us[number] = at_us
        success_lsn[number] = lsn


def _note_failure(state: PeersState, number: int, code: int, at_us: int, lsn: int) -> None:
    state.failure_us[number] = at_us
    state.failure_lsn[number] = lsn
    if state.failures_max:
        history = state.histories.get(number, b"") + (at_us << 8 | code).to_bytes(8, "little")
        state.histories[number] = history[-8 * state.failures_max :]


def _limit_histories(state: PeersState, failures_max: int) -> None:
    state.failures_max = failures_max
    kept = {number: history[-8 * failures_max :] for number, history in state.histories.items()} if failures_max else {}
    state.histories = kept


def _fold_directory(state: PeersState, event: DirectoryApplied, record: Record, documents: Documents) -> None:
    # The scope of the snapshot was checked when it was activated: its body is the directory.
    entries: Any = () if event.content_id is None else documents.snapshot(event.content_id).body
    version = Version(event.generation, event.version)
    directory = state.directory.succeeded_by(event.content_id, version, entries, peers_max=event.peers_max, lsn=record.lsn)
    _replace(state, directory, record.lsn)


def _fold_evicted(state: PeersState, event: PeersEvicted, record: Record, documents: Documents) -> None:
    gone = _still(state.directory, event)
    _replace(state, state.directory.without(gone, peers_max=event.peers_max, lsn=record.lsn), record.lsn)


def _fold_expired(state: PeersState, event: PeersExpired, record: Record, documents: Documents) -> None:
    for number in _still(state.directory, event):
        if max(state.success_us[number], state.failure_us[number]) <= event.cutoff_us:
            _forget(state, number, record.lsn)
    state.oldest_us = state.find_oldest()


def _fold_reset(state: PeersState, event: ClassReset, record: Record, documents: Documents) -> None:
    state.clear()


FOLDS: dict[type, Callable[[PeersState, Any, Record, Documents], None]] = {
    PeersObserved: _fold_observed,
    DirectoryApplied: _fold_directory,
    PeersExpired: _fold_expired,
    PeersEvicted: _fold_evicted,
    ClassReset: _fold_reset,
}
"""How each event changes the state. Frozen per kind and version."""


def _still(directory: Directory, event: PeersExpired | PeersEvicted) -> list[int]:
    """The numbers of `event` that have belonged to the same peer ever since it was decided."""
    size, assigned_lsn = len(directory.ids), directory.assigned_lsn
    return [number for number in unpack("I", event.numbers) if number < size and 0 < assigned_lsn[number] <= event.numbering_lsn]


def _replace(state: PeersState, directory: Directory, lsn: int) -> None:
    """Make `directory` the one in force; numbers that changed hands start with nothing seen."""
    before, after = state.directory.assigned_lsn, directory.assigned_lsn
    for number in range(len(after), len(before)):
        state.histories.pop(number, None)
    for column in state.columns():
        del column[len(after) :]
        column.extend(zeros(len(after) - len(column)))
    for number, assigned in enumerate(after):
        if number >= len(before) or before[number] != assigned:
            _forget(state, number, lsn)
    state.directory = directory


def _forget(state: PeersState, number: int, lsn: int) -> None:
    for column in state.columns():
        column[number] = 0
    # That nothing is known was said by this record.
    state.success_lsn[number] = state.failure_lsn[number] = lsn
    state.histories.pop(number, None)


def _evictions(state: PeersState, numbers: list[int], peers_max: int) -> tuple[PeersEvicted, ...]:
    excess = len(numbers) - peers_max
    if excess <= 0:
        return ()
    ids = state.directory.ids
    # Of equals, the last id goes first.
    least = sorted(sorted(sorted(numbers, key=ids.__getitem__, reverse=True), key=partial(_usefulness, state))[:excess])
    return tuple([PeersEvicted(state.directory.numbering_lsn, pack("I", chunk), peers_max) for chunk in _chunks(least)])


def _usefulness(state: PeersState, number: int) -> tuple[bool, int, int]:
    """Sorts peers never seen first, then by reliability, and the slow before the fast."""
    seen = state.observations[number]
    latency = state.latency[number] if state.success_us[number] else NEVER
    return seen > 0, reliability(state.loss[number] >> FRACTION_BITS, seen), -latency


def _chunks(numbers: list[int]) -> Iterator[list[int]]:
    return (numbers[start : start + NUMBERS_PER_EVENT_MAX] for start in range(0, len(numbers), NUMBERS_PER_EVENT_MAX))
