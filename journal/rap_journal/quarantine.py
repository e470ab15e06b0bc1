"""Keeping the bytes that recovery cut or refused: exactly, and as many as there may be.

Rules this file keeps:

- A piece is named by where it stood and what it is, so that a recovery that is killed and run again keeps it once.
- Header and bytes are in one file, so that neither can exist without the other; the digest covers both.
- Quarantine is bounded; the oldest pieces give way, and keeping never prevents a start. Of a piece that alone is larger than the bound
  its beginning is kept, with length and digest of the whole: enough to say what was lost, and to know it again in a copy elsewhere.

Bytes::

    offset  size  name           meaning
         0     8  magic          "RAPQUAR1"
         8     2  version        1
        10     2  label          number of the recovery verdict
        12     4  reserved       0
        16    16  journal_id
        32     8  segment        number of the segment they stood in
        40     4  epoch          of that segment
        44     4  left_out_bytes how many of them, at the end, are not kept
        48     8  offset         where they stood
        56     8  piece_bytes    how many there are
        64     8  after_lsn      LSN of the last valid record before them
        72    32  sha256         of the bytes
       104    24  check          SHA-256 of bytes 0 to 103, first 24 bytes
       128     n  the bytes, less those left out
     128+n    32  kept_sha256    only where some are left out: of all bytes before
"""

import hashlib
from typing import NamedTuple

from rap_journal.errors import DamageError, FormatTooNew
from rap_journal.filesystem import Directory
from rap_journal.format import FORMAT_VERSION, QUARANTINE_HEADER, QUARANTINE_HEADER_BYTES, QUARANTINE_MAGIC
from rap_journal.layout import parse_quarantine_name, quarantine_name
from rap_journal.sealed_files import install_file

PUT_AWAY = 7
"""Label of a whole file that was put away: of a class that was reset, or a damaged checkpoint. The others are those of recovery's verdicts."""

_CHECKED_BYTES = 104
_DIGEST_BYTES = 32


class Piece(NamedTuple):
    """Bytes cut from a segment: where they stood and why they went. `left_out_bytes` more stood behind `data` and are not kept."""

    journal_id: bytes
    segment: int
    epoch: int
    offset: int
    after_lsn: int
    label: int
    data: bytes
    left_out_bytes: int = 0


def keep(folder: Directory, temporary: Directory, piece: Piece, bytes_max: int) -> str:
    """Keep `piece` durably, as much of it as fits into `bytes_max`, and return its name.

    Raises `OSError`, also for a full disk; keeping it twice changes nothing.
    """
    sha256 = hashlib.sha256(piece.data).digest()
    name = quarantine_name(piece.segment, piece.offset, sha256)
    if folder.status(name) is None:
        install_file(temporary, folder, name, _file_bytes(piece, sha256, bytes_max))
    else:
        # Whoever gave it its name may have been killed before the folder was synced, and the cut comes next.
        folder.sync()
    _make_room(folder, name, bytes_max)
    return name


def piece_bytes_of(file_bytes: int) -> int:
    """How many bytes were cut, from the size of the file that keeps them."""
    return max(0, file_bytes - QUARANTINE_HEADER_BYTES)


def read_piece(folder: Directory, name: str) -> Piece:
    """Read and check a piece; raises `DamageError` when it is not what was kept, and `FormatTooNew` for a later version."""
    with folder.open(name) as file:
        data = file.read_at(0, file.size())
        path = file.name
    if (
        len(data) >= QUARANTINE_HEADER_BYTES
        and hashlib.sha256(data[:_CHECKED_BYTES]).digest()[:24] == data[_CHECKED_BYTES:QUARANTINE_HEADER_BYTES]
    ):
        (magic, version, label, zero, journal_id, segment, epoch, left_out, offset, piece_bytes, after_lsn, sha256, _check) = (
            QUARANTINE_HEADER.unpack_from(data)
        )
        if magic == QUARANTINE_MAGIC and (version != FORMAT_VERSION or zero):
            raise FormatTooNew(
                f"{path} has quarantine format {version}; it was left alone. Use a later release.",
                file=path,
                reason="piece_version",
            )
        body = data[QUARANTINE_HEADER_BYTES : QUARANTINE_HEADER_BYTES + max(0, piece_bytes - left_out)]
        is_whole = data[QUARANTINE_HEADER_BYTES:] == body and hashlib.sha256(body).digest() == sha256
        is_sound = is_whole if not left_out else _is_beginning(data, piece_bytes, left_out)
        if magic == QUARANTINE_MAGIC and is_sound and name == quarantine_name(segment, offset, sha256):
            return Piece(journal_id, segment, epoch, offset, after_lsn, label, body, left_out)
    raise DamageError(f"{path} is not the piece that was kept in quarantine; it was left alone.", file=path, reason="bad_piece")


def _file_bytes(piece: Piece, sha256: bytes, bytes_max: int) -> bytes:
    """The file that keeps `piece`, or its beginning where all of it would be more than `bytes_max`; never less than what it was."""
    kept = piece.data
    # A beginning without a byte takes header and digest: what takes no more than that is kept whole.
    if QUARANTINE_HEADER_BYTES + len(kept) > max(bytes_max, QUARANTINE_HEADER_BYTES + _DIGEST_BYTES):
        kept = kept[: max(0, bytes_max - QUARANTINE_HEADER_BYTES - _DIGEST_BYTES)]
    left_out_bytes = len(piece.data) - len(kept)
    head = QUARANTINE_HEADER.pack(
        QUARANTINE_MAGIC, FORMAT_VERSION, piece.label, 0, piece.journal_id, piece.segment, piece.epoch, left_out_bytes, piece.offset,
        len(piece.data), piece.after_lsn, sha256, b"",
    )[:_CHECKED_BYTES]  # fmt: skip
    content = head + hashlib.sha256(head).digest()[:24] + kept
    return content + hashlib.sha256(content).digest() if left_out_bytes else content


def _is_beginning(data: bytes, piece_bytes: int, left_out_bytes: int) -> bool:
    """Whether a file whose header says that so many bytes are left out holds the others, and their digest."""
    digest = hashlib.sha256(data[:-_DIGEST_BYTES]).digest()
    length = QUARANTINE_HEADER_BYTES + piece_bytes - left_out_bytes + _DIGEST_BYTES
    return left_out_bytes <= piece_bytes and len(data) == length and data[-_DIGEST_BYTES:] == digest


def _make_room(folder: Directory, newest: str, bytes_max: int) -> None:
    names = [name for name in folder.names() if parse_quarantine_name(name)]
    sizes = {name: status.size for name in names if (status := folder.status(name))}
    total = sum(sizes.values())
    for name in sorted(sizes):
        if total <= bytes_max:
            return
        if name != newest:
            folder.unlink(name)
            total -= sizes[name]
