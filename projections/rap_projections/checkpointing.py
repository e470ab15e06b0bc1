"""Writing checkpoint sets and retiring history.

Rules this file keeps:

- A set is made from immutable files: the previous set and sealed segments are folded again, apart from the live state, so that
  appends go on meanwhile and the set proves that replay gives the same state.
- A set counts only once it was read back; nothing older goes before.
- Retiring is an event first, then segments go, oldest first, then their folder is synced.

Example::

    written = write_checkpoint(core)
    retire(core, policy, now)
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from rap_journal.checkpoints import EMPTY_ANCHOR, Anchor, ClassContent, list_checkpoints
from rap_journal.inventory import SegmentFile, take_inventory
from rap_journal.journal import load_base, write_checkpoint_set
from rap_journal.layout import checkpoint_name
from rap_journal.payload import StrictHeads
from rap_journal.records import Record
from rap_journal.recovery import Base
from rap_journal.walk import Walk, records_of
from rap_projections.class_table import CLUSTER_FOLDS
from rap_projections.document_cleanup import remove_unnamed_documents
from rap_projections.document_shelf import DocumentShelf
from rap_projections.event_kinds import SNAPSHOTS, Event
from rap_projections.folding import FOLD_SET, ClassFolds, FoldedState
from rap_projections.journaled_state import JournaledState
from rap_projections.lifecycle import CheckpointWritten, HistoryRetired
from rap_projections.node_time import Now
from rap_projections.policy import EffectivePolicy
from rap_projections.receipts import Receipt


class WrittenCheckpoint(NamedTuple):
    """A set on disk: its LSN, its bytes, the digest of the state it holds, and the receipt of the event that says so."""

    lsn: int
    byte_count: int
    digest: str
    receipt: Receipt | None


class _Folded(NamedTuple):
    state: FoldedState
    heads: StrictHeads
    anchor: Anchor


def write_checkpoint(core: JournaledState, classes: tuple[ClassFolds, ...] = CLUSTER_FOLDS) -> WrittenCheckpoint:
    """Write a checkpoint set at the last durable LSN. With nothing new since the last set, nothing is written.

    Raises `NoSpace`, `OutcomeUnknown`, `Poisoned`, `FailClosed`, or `DamageError` when the set does not read back.
    """
    journal = core.journal
    lsn = journal.seal_active()
    base = load_base(journal.folders, journal.keys, journal.setup)
    folded = fold_files(core, base, classes, until_lsn=lsn)
    digest = folded.state.digest()
    if all(loaded.anchor.lsn == folded.anchor.lsn for loaded in base.checkpoints.values()) and base.checkpoints:
        return WrittenCheckpoint(folded.anchor.lsn, 0, digest, None)
    contents = {
        folds.spec.number: ClassContent(
            folded.heads[folds.spec.number], folded.state.node_us, folded.state.value(folds.spec.number)
        )
        for folds in classes
    }
    byte_count = write_checkpoint_set(journal, folded.anchor, contents)
    event = CheckpointWritten(folded.anchor.lsn, FOLD_SET, folded.anchor.digest, folded.state.class_digests())
    receipt = core.execute("checkpoint", _always(event)) if classes is CLUSTER_FOLDS else None
    return WrittenCheckpoint(folded.anchor.lsn, byte_count, digest, receipt)


def fold_files(core: JournaledState, base: Base, classes: tuple[ClassFolds, ...], *, until_lsn: int) -> _Folded:
    """Fold checkpoints and sealed segments, apart from the live state, up to `until_lsn`."""
    journal = core.journal
    shelf = DocumentShelf(core, lambda: state.view(SNAPSHOTS))
    state = FoldedState(classes, shelf)
    for folds in classes:
        loaded = base.checkpoints.get(folds.spec.number)
        state.restore(folds.spec.number, loaded.content.value if loaded else None)
    state.node_us = max((loaded.content.node_us for loaded in base.checkpoints.values()), default=0)
    heads = StrictHeads((number, loaded.content.head) for number, loaded in base.checkpoints.items() if loaded.content.head.lsn)
    since = {number: loaded.anchor.lsn for number, loaded in base.checkpoints.items()}
    anchor = max((loaded.anchor for loaded in base.checkpoints.values()), key=lambda each: each.lsn, default=EMPTY_ANCHOR)
    state.lsn = anchor.lsn
    walk = Walk(journal.folders.journal, take_inventory(journal.folders.journal, journal.keys.marker.journal_id), base.after_lsn)
    for segment in walk:
        for frame, records in records_of(segment, journal.keys.ring, base.after_lsn):
            if frame.header.last_lsn > until_lsn:
                break
            if frame.header.is_strict:
                _follow(heads, records, since)
            shelf.note(records)
            newer = [record for record in records if record.lsn > since.get(record.state_class, 0)]
            if newer:
                state.apply(newer)
            anchor = Anchor(frame.header.last_lsn, frame.header.epoch, frame.digest)
            state.lsn = frame.header.last_lsn
    return _Folded(state, heads, anchor)


def retire(core: JournaledState, policy: EffectivePolicy, now: Now) -> HistoryRetired | None:
    """Move the history floor up to the older of the two newest sets, once that is older than the policy's hours; None otherwise.

    Raises what writing raises. A crash in between is made up for: files below the floor are stale.
    """
    journal = core.journal
    sets = sorted(set.intersection(*[set(list_checkpoints(folder)) for folder in journal.folders.classes.values()]))
    if len(sets) < 3:
        return None
    floor = sets[-2]
    segments = _wholly_below(take_inventory(journal.folders.journal, journal.keys.marker.journal_id).chain, floor)
    loaded = load_base(journal.folders, journal.keys, journal.setup, lsn_max=floor).checkpoints
    made_us = max((checkpoint.content.node_us for checkpoint in loaded.values()), default=0)
    if not segments or now.node_us - made_us < policy.history_all_h * 3_600_000_000:
        return None
    event = HistoryRetired(floor, segments[0].header.number, segments[-1].header.number)
    core.execute("checkpoint", _always(event), durable=True)
    # Sets before segments: a set below missing segments would promise states that nothing can show.
    for folder in journal.folders.classes.values():
        for lsn in list_checkpoints(folder):
            if lsn < floor:
                folder.unlink(checkpoint_name(lsn))
        folder.sync()
    for segment in segments:
        journal.folders.journal.unlink(segment.name)
    journal.folders.journal.sync()
    remove_unnamed_documents(journal, core.state, spared=core.stored_here)
    return event


def _wholly_below(chain: tuple[SegmentFile, ...], floor_lsn: int) -> list[SegmentFile]:
    """Closed segments whose last LSN is at or below the floor."""
    return [segment for segment, successor in pairwise(chain) if successor.header.predecessor.last_lsn <= floor_lsn]


def _follow(heads: StrictHeads, records: list[Record], since: dict[int, int]) -> None:
    for record in records:
        if record.lsn > since.get(record.state_class, 0):
            heads.follow(record)


def _always(event: Event) -> Callable[[Now], tuple[Event, ...]]:
    return lambda now: (event,)
