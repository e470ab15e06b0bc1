"""Writing checkpoint sets, and saying which there are.

Rules this file keeps:

- A set is made from immutable files: the previous set and sealed segments are folded again, apart from the live state, so that
  appends go on meanwhile and the set proves that replay gives the same state.
- A set counts only once it was read back; nothing older goes before.
- Sets between the oldest and the two newest go, but for those that the history floor may move to.

What goes with the floor is in `retiring`.

Example::

    written = write_checkpoint(core, policy)
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from rap_journal.checkpoints import EMPTY_ANCHOR, Anchor, ClassContent, list_checkpoints, load_checkpoint
from rap_journal.errors import NoSpace, StateStoreError
from rap_journal.inventory import take_inventory
from rap_journal.journal import Journal, load_base, write_checkpoint_set
from rap_journal.payload import StrictHeads
from rap_journal.records import Record
from rap_journal.recovery import Base
from rap_journal.space import no_space_means
from rap_journal.values import Durability
from rap_journal.walk import Walk, records_of
from rap_projections.document_shelf import DocumentShelf
from rap_projections.event_kinds import HEALTH, SNAPSHOTS, Event
from rap_projections.folding import ClassFolds, FoldedState
from rap_projections.journaled_state import JournaledState
from rap_projections.lifecycle import CheckpointWritten
from rap_projections.node_time import Now
from rap_projections.policy import EffectivePolicy
from rap_projections.receipts import Receipt
from rap_projections.retention import SetMade, sets_to_keep


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


def write_checkpoint(core: JournaledState, policy: EffectivePolicy | None = None) -> WrittenCheckpoint:
    """Write a checkpoint set at the last durable LSN. With nothing new since the last set, nothing is written.

    `policy` says which older sets stay; without one, the oldest and the two newest.
    Raises `NoSpace`, `OutcomeUnknown`, `Poisoned`, `FailClosed`, or `DamageError` when the set does not read back.
    """
    journal, classes = core.journal, core.classes
    lsn = journal.seal_active()
    inventory = take_inventory(journal.folders.journal, journal.keys.marker.journal_id)
    base = load_base(journal.folders, journal.keys, journal.setup, inventory)
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
    made = [*sets_made(journal), SetMade(folded.anchor.lsn, folded.state.node_us)]
    spared = sets_to_keep(made, policy) if policy is not None else ()
    with no_space_means(core.name, "checkpoint set"):
        byte_count = write_checkpoint_set(journal, folded.anchor, contents, spared=spared)
    set_number, digests = journal.setup.fold_set.number, folded.state.class_digests()
    event = CheckpointWritten(folded.anchor.lsn, set_number, folded.anchor.digest, digests)
    receipt = core.execute("checkpoint", _always(event)) if any(folds.spec == HEALTH for folds in classes) else None
    return WrittenCheckpoint(folded.anchor.lsn, byte_count, digest, receipt)


def replace_bad_checkpoints(core: JournaledState, policy: EffectivePolicy | None = None) -> None:
    """Write a set where the opening found checkpoints damaged or missing; without space, that is left to the next one."""
    if core.journal.bad_checkpoints and core.journal.is_writable:
        with suppress(NoSpace):
            write_checkpoint(core, policy)


def fold_files(core: JournaledState, base: Base, classes: Sequence[ClassFolds], *, until_lsn: int) -> _Folded:
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


def sets_made(journal: Journal) -> list[SetMade]:
    """The checkpoint sets there are, oldest first, as far as they can be read. Caches are not asked: theirs may have given way."""
    specs = [
        spec for spec in journal.setup.specs if spec.durability is not Durability.CACHE and spec.number in journal.folders.classes
    ]
    whole = set.intersection(*(set(list_checkpoints(journal.folders.classes[spec.number])) for spec in specs))
    found = []
    for lsn in sorted(whole):
        # Node time is the same in all files of a set, and the first class is the smallest.
        with suppress(StateStoreError, OSError):
            loaded = load_checkpoint(
                journal.folders.classes[specs[0].number], specs[0], lsn, journal.keys.ring, journal.keys.marker.journal_id,
                fold_set=journal.setup.fold_set,
            )  # fmt: skip
            found.append(SetMade(lsn, loaded.content.node_us))
    return found


def _follow(heads: StrictHeads, records: list[Record], since: dict[int, int]) -> None:
    for record in records:
        if record.lsn > since.get(record.state_class, 0):
            heads.follow(record)


def _always(event: Event) -> Callable[[Now], tuple[Event, ...]]:
    return lambda now: (event,)
