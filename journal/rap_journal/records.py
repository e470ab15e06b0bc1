"""A record: what the journal keeps of an event, and the CBOR payload a frame's records make together.

Rules this file keeps:

- The journal reads kind, class and category, never the body: meaning belongs to the projections.
- A record of `rows` rows takes that many LSNs; all kinds but the columnar ones have one row.
- Times are written once per frame; a record adds one delta, because clocks that step within a frame are not worth a field.
- A strict record names the previous strict record of its class, so that a class can prove that none of its records is missing.

Payload, deterministic CBOR (arrays only, so that encoding needs no sorting)::

    [boot_id: bstr .size 16, actor: tstr, wall_us: uint, boot_us: uint, node_us: uint, [+ record]]
    record = [kind, version, category, class, rows, delta_us, meta / null, body]
    meta   = [causes: [* lsn], trace_id: tstr / null, actor: tstr / null, strict_link / null]
    strict_link = [previous_lsn, previous_digest: bstr .size 16, ordinal]
"""

from enum import IntEnum
from typing import Any, NamedTuple


class Category(IntEnum):
    """What sort of thing a record tells; retention and the debugger go by it."""

    OBSERVATION = 0
    DECISION = 1
    REFUSAL = 2
    EVICTION = 3
    LIFECYCLE = 4
    NOTE = 5


FIRST_IGNORABLE_KIND = 1000
"""Kinds from this number on may be skipped by a release that does not know them; unknown ones below open read-only."""


class StrictLink(NamedTuple):
    """The previous strict record of the same class: its LSN and its chain digest.

    `ordinal` is the number of this record among the strict ones of its class, from 1.
    """

    previous_lsn: int
    previous_digest: bytes
    ordinal: int


class Record(NamedTuple):
    """One event as the journal keeps it.

    Attributes:
        lsn: LSN of its (first) row; 0 in a record that was not written yet.
        kind: number of the event kind.
        version: version of that kind's body.
        category: see `Category`.
        state_class: number of the state class it belongs to.
        rows: how many LSNs it takes, 1 to 4096.
        wall_us: wall clock when it was made, microseconds since 1970; may be wrong.
        boot_us: microseconds since boot when it was made.
        node_us: node time: microseconds, never falling over the life of the journal, across reboots too; folds go by this one.
        boot_id: 16 bytes naming the boot that wrote it.
        causes: LSNs of the records that led to it.
        trace_id: caller's trace id, at most 64 characters.
        actor: who asked for it, at most 64 characters.
        link: for strict classes, the previous record of the class.
        body: the event's fields, an array.
    """

    lsn: int
    kind: int
    version: int
    category: int
    state_class: int
    rows: int
    wall_us: int
    boot_us: int
    node_us: int
    boot_id: bytes
    causes: tuple[int, ...]
    trace_id: str | None
    actor: str
    link: StrictLink | None
    body: Any

    def placed(self, lsn: int) -> "Record":
        """The same record at `lsn`."""
        return Record(lsn, *self[1:])
