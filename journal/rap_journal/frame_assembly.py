"""What goes into the next frame: the batches whose turn it is, and what rides along, numbered and linked; as much as there is room for.

Rules this file keeps:

- Nothing is changed here but the room that the segment has ready: a frame that is never written leaves LSNs and heads as they were.
- Observations ride in no strict frame, never make a frame too large, and wait where they find no room.
- Records that may not use the reserve never take it along with others that may: those that may are then written alone.

Example::

    frame = FrameAssembly(writer, projections).assemble(load, heads)
    if frame is not None:
        writer.write(frame.payload, ...)
"""

from typing import NamedTuple

from rap_journal.batches import WEIGHT_MAX, Batch, weigh_record
from rap_journal.errors import NoSpace
from rap_journal.limits import RECORDS_PER_FRAME_MAX
from rap_journal.payload import StrictHeads, encode_payload
from rap_journal.projections import Projections
from rap_journal.records import Record
from rap_journal.segment_writer import SegmentWriter


class Frame(NamedTuple):
    """What is about to be written: batches, their records and those that ride along, and the heads after strict ones."""

    load: list[Batch]
    records: list[Record]
    heads: StrictHeads | None
    payload: bytes


class FrameAssembly:
    """Puts frames together for one writer. Only whoever leads calls it."""

    def __init__(self, writer: SegmentWriter, projections: Projections) -> None:
        self._writer = writer
        self._projections = projections

    def assemble(self, load: list[Batch], heads: StrictHeads) -> Frame | None:
        """The next frame, with room made for it; None where there is nothing to write.

        `heads`: those after the last frame; they stay as they are. Batches that found no room have `error` set, and are not in the frame.
        Raises `NoSpace` where there is no room for any.
        """
        riding = self._riding_along(load)
        return self._find_room(load, riding, heads) if load or riding else None

    def _find_room(self, load: list[Batch], riding: list[Record], heads: StrictHeads) -> Frame:
        """Make room for the load and what rides along; where there is none, for those batches that may use the reserve."""
        frame = self._encode(load, riding, heads)
        urgent = [batch for batch in load if batch.privileged]
        is_urgent = len(urgent) == len(load) and not riding
        try:
            self._writer.make_room(len(frame.payload), privileged=is_urgent)
        except NoSpace as error:
            self._projections.give_back(riding)
            if is_urgent or not urgent:
                raise
            for batch in load:
                batch.error = None if batch.privileged else error
            frame = self._encode(urgent, [], heads)
            self._writer.make_room(len(frame.payload), privileged=True)
        return frame

    def _riding_along(self, load: list[Batch]) -> list[Record]:
        """Observations for the frame about to be written: none in a strict one, and never more than fit."""
        rows = weight = 0
        for batch in load:
            if batch.strict:
                return []
            rows += batch.rows
            weight += batch.weight
        offered = list(self._projections.waiting(RECORDS_PER_FRAME_MAX - rows))
        for index, record in enumerate(offered):
            weight += weigh_record(record)
            if weight > WEIGHT_MAX and (load or index):
                self._projections.give_back(offered[index:])
                return offered[:index]
        return offered

    def _encode(self, load: list[Batch], riding: list[Record], heads: StrictHeads) -> Frame:
        records = [record for batch in load for record in batch.records] + riding
        after = heads.copy() if load and load[0].strict else None
        numbered = self._numbered(records, after)
        return Frame(load, numbered, after, encode_payload(numbered))

    def _numbered(self, records: list[Record], heads: StrictHeads | None) -> list[Record]:
        """The records with their LSNs; strict ones linked to the `heads` of their classes, which move on."""
        lsn = self._writer.chain.last_lsn + 1
        numbered = []
        for record in records:
            placed = record.placed(lsn)
            numbered.append(heads.link_next(placed) if heads is not None else placed)
            lsn += record.rows
        return numbered
