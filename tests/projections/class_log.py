"""A journal in miniature for the tests of one class: events get LSNs, go through the encoding of the disk, and are folded.

Example::

    log = ClassLog(peers, {b"1": (make_peer("a"),)})
    log.append(DirectoryApplied(b"1", 1, 1, 100), node_us=5)
    assert log.state.directory.ids == ("a",)
"""

from collections.abc import Mapping
from typing import Any

from rap_journal.deterministic_cbor import decode, encode_arrays
from rap_journal.records import Record
from rap_projections.documents import Audience, Body, Scope, SnapshotPayload, Version
from rap_projections.event_kinds import Event, event_of, kind_of
from rap_projections.node_time import Now

SECOND = 1_000_000
"""Microseconds."""


def at(node_us: int) -> Now:
    """A reference time at which only the node time matters."""
    return Now(node_us, 0, 0, 0)


class Bodies:
    """Documents of which only the body matters."""

    def __init__(self, bodies: Mapping[bytes, Body]) -> None:
        self._bodies = bodies

    def snapshot(self, content_id: bytes) -> SnapshotPayload:
        """The snapshot with the body of this content id."""
        return SnapshotPayload(Scope.PEERS, Version(1, 1), 0, 0, 0, Audience(True), Version(0, 0), self._bodies[content_id])


class ClassLog:
    """The state of a class and the LSN of the last row that was folded into it."""

    def __init__(self, module: Any, bodies: Mapping[bytes, Body] | None = None, *, last_lsn: int = 0) -> None:
        self.module = module
        self.state = module.empty()
        self.bodies = Bodies(bodies or {})
        self.last_lsn = last_lsn

    def append(self, *events: Event, node_us: int = 1) -> list[int]:
        """Fold `events`, and return their LSNs."""
        return [self._append(event, node_us) for event in events]

    def _append(self, event: Event, node_us: int) -> int:
        kind = kind_of(event)
        rows = getattr(event, "row_count", 1)
        number = kind.state_class.number if kind.state_class else 0
        body = decode(encode_arrays(tuple(event)))
        lsn = self.last_lsn + 1
        record = Record(lsn, kind.number, kind.version, kind.category, number, rows, 0, 0, node_us, b"", (), None, "", None, body)
        read = event_of(record)
        assert read is not None
        self.module.FOLDS[type(read)](self.state, read, record, self.bodies)
        self.last_lsn += rows
        return lsn

    def value(self) -> Any:
        """What a checkpoint would keep."""
        return self.module.to_value(self.state)

    def reload(self) -> None:
        """Go on from a checkpoint, as an opening does."""
        value = self.value()
        self.state = self.module.from_value(decode(encode_arrays(value), size_max=1 << 30))
        assert self.value() == value
