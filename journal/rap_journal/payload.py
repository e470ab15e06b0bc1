"""The payload of a frame: records to CBOR and back (`records` has the shape), and the chain of strict records per class.

Rules this file keeps:

- Encoding and decoding are inverse; LSNs and times are relative to the frame and made absolute on reading.
- Only arrays are written, so that plain encoding is deterministic encoding.
- A strict record names its class's previous one; `StrictHeads` proves on replay that none is missing.

Example::

    payload = encode_payload(records)
    assert decode_payload(payload, first_lsn) == records
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rap_journal.deterministic_cbor import MalformedCbor, decode_own, encode_arrays
from rap_journal.errors import DamageError
from rap_journal.format import DIGEST_BYTES
from rap_journal.records import Record, StrictLink


class StrictHead(NamedTuple):
    """The newest strict record of a class: LSN, chain digest up to it, and how many there are.

    A digest of zeros with an LSN stands for a record that is known to have been there, and nothing more is known of it.
    """

    lsn: int = 0
    digest: bytes = bytes(DIGEST_BYTES)
    record_count: int = 0

    @property
    def is_known(self) -> bool:
        """Whether the digest says something."""
        return any(self.digest)


class StrictHeads:
    """The newest strict record of every class, advanced record by record."""

    def __init__(self, heads: Iterable[tuple[int, StrictHead]] = ()) -> None:
        self._heads = dict(heads)

    def __getitem__(self, state_class: int) -> StrictHead:
        return self._heads.get(state_class, StrictHead())

    def items(self) -> list[tuple[int, StrictHead]]:
        """Class number and head, by class."""
        return sorted(self._heads.items())

    def copy(self) -> "StrictHeads":
        """An independent copy."""
        return StrictHeads(self._heads.items())

    def move(self, state_class: int, head: StrictHead) -> None:
        """Go on from `head`, which was not read: the records up to it are lost."""
        self._heads[state_class] = head

    def link_next(self, record: Record) -> Record:
        """`record`, which must have its LSN, with its link set; the head moves to it."""
        head = self[record.state_class]
        linked = record._replace(link=StrictLink(head.lsn, head.digest, head.record_count + 1))
        self._advance(linked)
        return linked

    def follow(self, record: Record) -> bool:
        """Whether `record` continues its class's chain. The head moves to it either way."""
        head = self[record.state_class]
        fits = record.link == StrictLink(head.lsn, head.digest, head.record_count + 1)
        self._advance(record)
        return fits

    def _advance(self, record: Record) -> None:
        assert record.link is not None
        content = record.lsn.to_bytes(8, "little") + encode_arrays(_to_array(record, 0))
        digest = hashlib.sha256(record.link.previous_digest + content).digest()[:DIGEST_BYTES]
        self._heads[record.state_class] = StrictHead(record.lsn, digest, record.link.ordinal)


def encode_payload(records: Sequence[Record]) -> bytes:
    """The payload of a frame that holds `records` in this order; they share a boot, and mostly an actor."""
    first = records[0]
    base_us = first.node_us
    rows = []
    for record in records:
        row = _to_array(record, record.node_us - base_us)
        if row[6] is not None and record.actor != first.actor:
            row[6][2] = record.actor
        elif record.actor != first.actor:
            row[6] = [[], None, record.actor, None]
        rows.append(row)
    return encode_arrays([first.boot_id, first.actor, first.wall_us, first.boot_us, base_us, rows])


def decode_payload(payload: bytes, first_lsn: int) -> list[Record]:
    """The records of a frame's unsealed payload. Raises `DamageError` when authenticated bytes are not a payload: a bug, not a tear."""
    try:
        boot_id, actor, wall_us, boot_us, node_us, rows = decode_own(payload)
        records = []
        lsn = first_lsn
        for kind, version, category, state_class, rows_taken, delta, meta, body in rows:
            causes, trace_id, its_actor, link = meta or _NO_META
            record = Record(
                lsn, kind, version, category, state_class, rows_taken, wall_us + delta, boot_us + delta, node_us + delta, boot_id,
                tuple(causes), trace_id, its_actor or actor, StrictLink(*link) if link else None, body,
            )  # fmt: skip
            records.append(record)
            lsn += rows_taken
    except (MalformedCbor, ValueError, TypeError) as error:
        raise DamageError("a frame unseals to something that is no payload", lsn=first_lsn, reason="bad_payload") from error
    return records


_NO_META: tuple[tuple[()], None, None, None] = ((), None, None, None)


def _to_array(record: Record, delta_us: int) -> list[Any]:
    link = record.link
    meta = None
    if record.causes or record.trace_id or link:
        meta = [list(record.causes), record.trace_id, None, list(link) if link else None]
    return [record.kind, record.version, record.category, record.state_class, record.rows, delta_us, meta, record.body]
