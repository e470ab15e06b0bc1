"""Event kinds 1 to 8: the life of the journal and of the store itself.

Rules this file keeps:

- These kinds are written by the store, never asked for by a caller, but for the note.
- What happens to a cluster's journal is folded by its health class, what happens to the agent by the agent class; a class reset is
  folded by the class it resets.
- What a recovery cut and what it did about it stands in the event, so that status and report need no log file (spec 8, 12).

Example::

    ClassReset(class_number=8, first_lsn=0, last_lsn=0, reason="checkpoint_damaged")
"""

from typing import NamedTuple

from rap_journal.errors import MisuseError
from rap_journal.records import Category
from rap_journal.values import Durability
from rap_projections.arguments import require
from rap_projections.event_kinds import AGENT, HEALTH, Event, event_kind

NOTE_LENGTH_MAX = 1000
"""Characters of one note."""

Setting = tuple[str, int | bool | tuple[str, ...]]
"""One limit of the policy in force: name and value."""


@event_kind(1, state_class=HEALTH, category=Category.LIFECYCLE, sensitivity="digest, open, open, digest")
class PolicyInForce(NamedTuple):
    """The limits every later decision goes by, until the next event of this kind.

    Attributes:
        digest: SHA-256 of the deterministic CBOR of `settings`.
        build: version of the code that decides.
        settings: the effective limits by name, sorted.
        signed_content_id: content id of the signed policy that was taken into account, or None where the cautious defaults apply.
    """

    digest: bytes
    build: str
    settings: tuple[Setting, ...]
    signed_content_id: bytes | None


@event_kind(
    2, state_class=HEALTH, category=Category.LIFECYCLE, sensitivity="open, open, open, open, open, open, open, open, digest"
)
class RecoveryDone(NamedTuple):
    """A recovery found something, and this is what it did.

    Attributes:
        segment: number of the segment it concerns; 0 where none does.
        offset: byte offset within that segment.
        lsn: last LSN that was kept before the place.
        byte_count: bytes cut or passed over.
        verdict: label of the verdict, such as "torn_tail".
        reason: what was wrong with the bytes, a short stable word.
        action: what was done: "cut", "put_away", "repaired", "lost" or "reported".
        next_step: what the caller or operator should do next: a short stable word.
        quarantine_sha256: SHA-256 of the bytes kept in quarantine, or None where there was nothing to keep.
    """

    segment: int
    offset: int
    lsn: int
    byte_count: int
    verdict: str
    reason: str
    action: str
    next_step: str
    quarantine_sha256: bytes | None


@event_kind(3, state_class=HEALTH, category=Category.NOTE, sensitivity="text")
class Note(NamedTuple):
    """A remark of the caller, for whoever reads the history."""

    text: str


@event_kind(4, state_class=HEALTH, category=Category.EVICTION, sensitivity="open, open, open")
class HistoryRetired(NamedTuple):
    """History up to the floor may be deleted; durable before the first segment goes.

    Attributes:
        floor_lsn: oldest LSN that can still be shown.
        first_segment: number of the first segment that goes.
        last_segment: number of the last one.
    """

    floor_lsn: int
    first_segment: int
    last_segment: int


@event_kind(5, state_class=None, category=Category.LIFECYCLE, sensitivity="open, open, open, open")
class ClassReset(NamedTuple):
    """A class starts anew from nothing, because part of its past is lost or was given up.

    Attributes:
        class_number: number of the class, which is also the class of the record.
        first_lsn: first LSN of the gap; 0 where no gap in the journal caused it.
        last_lsn: last LSN of the gap.
        reason: a short stable word.
    """

    class_number: int
    first_lsn: int
    last_lsn: int
    reason: str


@event_kind(
    6, state_class=HEALTH, category=Category.LIFECYCLE, sensitivity="open, open, digest, digest", durability=Durability.CACHE
)
class CheckpointWritten(NamedTuple):
    """A checkpoint set is on disk, verified.

    Attributes:
        at_lsn: the LSN whose state it holds.
        fold_set: version of the set of folds that made it.
        chain_digest: digest of the frame chain at that LSN.
        class_digests: (class number, digest of the class's state) by number: what a replay is checked against.
    """

    at_lsn: int
    fold_set: int
    chain_digest: bytes
    class_digests: tuple[tuple[int, bytes], ...]


@event_kind(7, state_class=AGENT, category=Category.LIFECYCLE, sensitivity="open, open, digest, open")
class Opened(NamedTuple):
    """The agent opened its store.

    Attributes:
        agent_version: version of the agent.
        build: version of the code of the store.
        incarnation: 16 random bytes naming this opening.
        previous_clean: whether the opening before this one ended with `Closed`.
    """

    agent_version: str
    build: str
    incarnation: bytes
    previous_clean: bool


@event_kind(8, state_class=AGENT, category=Category.LIFECYCLE, sensitivity="open")
class Closed(NamedTuple):
    """The agent closed its store in order. `reason` is a short stable word, such as "shutdown"."""

    reason: str


def decide_note(text: str) -> tuple[Event, ...]:
    """Keep a remark of 1 to 1000 printable characters, line breaks included. Raises `MisuseError` for anything else."""
    require("text", text, str)
    if not "".join(text.splitlines()).isprintable():
        raise MisuseError("a note is printable text; nothing was kept.", reason="note_text")
    if not 1 <= len(text) <= NOTE_LENGTH_MAX:
        raise MisuseError(
            f"a note of {len(text)} characters; nothing was kept. Use 1 to {NOTE_LENGTH_MAX} characters.", reason="note_length"
        )
    return (Note(text),)
