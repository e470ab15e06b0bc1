"""Retiring history: what is older than the policy keeps goes, and the ledger tells of the rest.

Rules this file keeps:

- What the ledger is to tell is on disk, synced and read back, before the event that says that history goes; that event is durable
  before the first file goes. Then sets go, then segments, oldest first, then their folder is synced.
- Killed anywhere and run again, no state and no entry of the ledger is lost: files below the floor are stale.
- History that cannot be read is not retired: it is evidence. Nor does anything go while the set that is to be the oldest, caches left
  aside, does not read back.

Example::

    retire(core, policy, now)
    shorten_ledger(core, policy, now)
"""

from collections.abc import Callable
from itertools import pairwise

from rap_journal.checkpoints import is_set_known_at, list_checkpoints, load_checkpoint
from rap_journal.errors import DamageError, NoSpace, StateStoreError
from rap_journal.inventory import SegmentFile, take_inventory
from rap_journal.journal import Journal
from rap_journal.layout import checkpoint_name
from rap_journal.ledger import LedgerSpan, keep_in_ledger, list_ledger, read_ledger
from rap_journal.sealing import SealBroken
from rap_journal.space import no_space_means
from rap_journal.values import Durability
from rap_projections.checkpointing import sets_made
from rap_projections.document_cleanup import remove_unnamed_documents
from rap_projections.event_kinds import HEALTH, Event
from rap_projections.journaled_state import JournaledState
from rap_projections.lifecycle import HistoryRetired
from rap_projections.node_time import Now
from rap_projections.policy import EffectivePolicy
from rap_projections.retention import LedgerFile, decide_floor, ledger_files_to_go
from rap_projections.upkeep_decisions import Found, decide_damage
from rap_projections.upkeep_events import LedgerShortened

SUBJECT = "upkeep"
"""Commands of upkeep see each other's outcome."""


def retire(core: JournaledState, policy: EffectivePolicy, now: Now) -> HistoryRetired | None:
    """Move the history floor as far up as the policy's hours and the pins of incidents let it; None where it stays.

    Until the format is committed it stays at a set that the release before can go on from.
    Raises what writing raises. A crash in between is made up for: files below the floor are stale.
    """
    incidents = core.state.view(HEALTH).upkeep.incidents
    journal = core.journal
    sets = [made for made in sets_made(journal) if _is_known_before(journal, made.lsn)]
    floor_lsn = decide_floor(sets, incidents, now.node_us, policy)
    return move_floor(core, floor_lsn, policy) if floor_lsn is not None else None


def move_floor(
    core: JournaledState, floor_lsn: int, policy: EffectivePolicy, *, may_lose_ledger: bool = False
) -> HistoryRetired | None:
    """Make the set at `floor_lsn` the oldest, whatever the policy's hours say; None where nothing lies below it.

    With `may_lose_ledger`, history goes even where a full disk has no room for its ledger. Raises `NoSpace`, and what writing raises.
    """
    journal = core.journal
    segments = segments_below(journal, floor_lsn)
    if not segments or not _is_whole(core, floor_lsn) or not _told(core, segments, policy, may_lose_ledger=may_lose_ledger):
        return None
    event = HistoryRetired(floor_lsn, segments[0].header.number, segments[-1].header.number)
    core.execute(SUBJECT, lambda now: (event,), durable=True)
    # Sets before segments: a set below missing segments would promise states that nothing can show.
    for folder in journal.folders.classes.values():
        for lsn in list_checkpoints(folder):
            if lsn < floor_lsn:
                folder.unlink(checkpoint_name(lsn))
        folder.sync()
    for segment in segments:
        journal.folders.journal.unlink(segment.name)
    journal.folders.journal.sync()
    remove_unnamed_documents(journal, core.state, spared=core.stored_here)
    return event


def segments_below(journal: Journal, floor_lsn: int) -> list[SegmentFile]:
    """Closed segments whose last LSN is at or below the floor, oldest first."""
    chain = take_inventory(journal.folders.journal, journal.keys.marker.journal_id).chain
    return [segment for segment, successor in pairwise(chain) if successor.header.predecessor.last_lsn <= floor_lsn]


def shorten_ledger(core: JournaledState, policy: EffectivePolicy, now: Now) -> int:
    """Let the ledger files go that are too old or too many; returns how many. Raises what writing raises."""
    spans, files = list_ledger(core.journal.folders.journal), ledger_files(core.journal, now, policy)
    count = ledger_files_to_go(files, now.node_us, policy)
    drop_ledger(core, spans[:count], sum(file.byte_count for file in files[:count]))
    return count


def ledger_files(journal: Journal, now: Now, policy: EffectivePolicy) -> list[LedgerFile]:
    """Facts about the ledger files, oldest first. Behind one that is young enough, none is opened: they are younger still."""
    folder, files, is_young = journal.folders.journal, [], False
    for span in list_ledger(folder):
        node_us = now.node_us if is_young else _age_of(journal, span)
        is_young = node_us is not None and now.node_us - node_us < policy.ledger_days * 86_400_000_000
        status = folder.status(span.name)
        files.append(LedgerFile(span.last_lsn, status.size if status is not None else 0, node_us))
    return files


def drop_ledger(core: JournaledState, spans: list[LedgerSpan], byte_count: int) -> None:
    """Let these ledger files, the oldest, go: the event first, durable."""
    if not spans:
        return
    event = LedgerShortened(spans[-1].last_lsn, len(spans), byte_count)
    core.execute(SUBJECT, lambda now: (event,), durable=True)
    for span in spans:
        core.journal.folders.journal.unlink(span.name)
    core.journal.folders.journal.sync()


def report(core: JournaledState, found: list[Found]) -> None:
    """Write down damage that is news."""
    core.execute(SUBJECT, _deciding(lambda: decide_damage(core.state.view(HEALTH).upkeep, found)), durable=True)


def _is_whole(core: JournaledState, lsn: int) -> bool:
    """Whether the set at `lsn` still reads back, caches left aside; where it does not, that is reported, and nothing older goes."""
    journal, found = core.journal, []
    for spec in journal.setup.specs:
        if spec.durability is Durability.CACHE or spec.number not in journal.folders.classes:
            continue
        try:
            load_checkpoint(
                journal.folders.classes[spec.number], spec, lsn, journal.keys.ring, journal.keys.marker.journal_id,
                fold_set=journal.setup.fold_set,
            )  # fmt: skip
        except (StateStoreError, OSError) as error:
            reason = (error.reason if isinstance(error, StateStoreError) else None) or "unreadable"
            found.append(Found(f"{spec.name}/{checkpoint_name(lsn)}", 0, reason, 1 << spec.number, is_repaired=False))
    report(core, found)
    return not found


def _is_known_before(journal: Journal, lsn: int) -> bool:
    """Whether a release of the level that is written could go on from the set at `lsn`; one that cannot be read is judged elsewhere."""
    try:
        return is_set_known_at(
            journal.folders, journal.setup.specs, lsn, fold_set=journal.setup.fold_set, level=journal.format_level
        )
    except (StateStoreError, OSError):
        return True


def _deciding(decide: Callable[[], tuple[Event, ...]]) -> Callable[[Now], tuple[Event, ...]]:
    return lambda now: decide()


def _told(core: JournaledState, segments: list[SegmentFile], policy: EffectivePolicy, *, may_lose_ledger: bool) -> bool:
    """Write down what is to be told of `segments`; False where they cannot be read, which is reported."""
    journal = core.journal
    if policy.ledger_days == 0:
        return True
    inventory = take_inventory(journal.folders.journal, journal.keys.marker.journal_id)
    last_lsn = inventory.chain[len(segments)].header.predecessor.last_lsn
    try:
        with no_space_means(core.name, "ledger"):
            keep_in_ledger(
                journal.folders, journal.keys.marker.journal_id, journal.keys.ring, inventory, last_lsn=last_lsn,
                randomness=journal.setup.randomness,
            )  # fmt: skip
    except NoSpace:
        if not may_lose_ledger:
            raise
    except (SealBroken, DamageError) as error:
        file = error.file or f"journal/{segments[0].name}"
        report(core, [Found(file, error.offset or 0, error.reason or "damaged", 0, is_repaired=False)])
        return False
    return True


def _age_of(journal: Journal, span: LedgerSpan) -> int | None:
    try:
        return read_ledger(journal.folders.journal, span, journal.keys.marker.journal_id, journal.keys.ring).node_us
    except (StateStoreError, OSError):
        return None
