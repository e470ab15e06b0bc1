"""The small values that cross every floor of the journal.

Rules this file keeps: values are immutable; a value that exists has passed its check.

Example::

    cluster = ClusterId("eu-west-1")        # raises MisuseError for "../etc"
"""

import re
from enum import IntEnum
from typing import NamedTuple, NewType, Self

from rap_journal.errors import MisuseError

Lsn = NewType("Lsn", int)
"""Log sequence number: the number of a record in its journal, dense, from 1. 0 means "before the first record"."""

SegmentNumber = NewType("SegmentNumber", int)
"""Number of a segment in its journal, dense, from 1."""

Epoch = NewType("Epoch", int)
"""Number of a writer's turn, from 1: it grows with every opening that appends."""

_CLUSTER_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class ClusterId(str):
    """Identifier of a cluster, and the name of its folder: a DNS label (RFC 1123), 1 to 63 of a-z, 0-9 and inner hyphens.

    The pattern admits no separator, no dot, no upper case and no leading dot, so that two clusters can never share a folder and
    no id can leave the store (spec 3).
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check `text`; raises `MisuseError` when it is not a cluster id."""
        given: object = text
        if not (isinstance(given, str) and _CLUSTER_ID.fullmatch(given)):
            raise MisuseError(
                f"{text!r:.80} is not a cluster id; nothing was done. Use 1 to 63 of a-z, 0-9 and '-', not at either end.",
                reason="bad_cluster_id",
            )
        return super().__new__(cls, text)


class Durability(IntEnum):
    """When an append of a state class returns (architecture, section 4)."""

    CACHE = 0
    """Queued; visible once its frame is synced. The class may be dropped and rebuilt."""
    SYNC = 1
    """Durable."""
    STRICT = 2
    """Durable and witnessed; damage fails closed or is repaired from a verified copy."""


class ClassSpec(NamedTuple):
    """What the journal knows of a state class: a number, a folder name and a durability. Its meaning is the projections'."""

    number: int
    name: str
    durability: Durability


class Position(NamedTuple):
    """A place in the journal: segment number and byte offset within that segment."""

    segment: SegmentNumber
    offset: int
