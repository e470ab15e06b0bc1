"""How large anything in a journal may be.

Every size that is read from disk is compared with a number of this file before it is used, so that a damaged length can cost
neither memory nor time.
"""

ALIGNMENT = 8
"""Frames start on multiples of this many bytes, so that a length field never straddles a torn sector."""

FRAME_BYTES_MAX = 1 << 20
"""Largest frame, header and digest included: 1 MiB."""

PAYLOAD_BYTES_MAX = 4 << 20
"""Largest payload after decompression: 4 MiB."""

RECORDS_PER_FRAME_MAX = 4096
"""Largest number of LSNs in one frame; rows of a columnar record count one each."""

SEGMENT_BYTES_DEFAULT = 16 << 20
SEGMENT_BYTES_MIN = 4 << 10
SEGMENT_BYTES_MAX = 1 << 30
"""A segment is rolled before it would grow past its policy's size, between 4 KiB (for tests) and 1 GiB."""

PREPARE_BYTES = 256 << 10
"""The writer zero-fills ahead of itself in synced steps of this size."""

RESERVE_BYTES = 64 << 10
"""Synced zeros the active segment keeps for classes that must be writable on a full disk (a quarter of a small segment)."""

INLINE_DOCUMENT_BYTES_MAX = 64 << 10
"""Largest signed document that is also carried inside its event."""

CHECKPOINT_BYTES_MAX = 256 << 20
"""Largest checkpoint file of one class."""

BACKUP_BYTES_MAX = 256 * 1024 * 1024
"""Largest backup."""

LEDGER_FILE_BYTES = 4 << 20
"""Payload bytes at which a ledger file is full: what is kept of a retired segment is read and written in pieces."""

CLASS_COUNT_MAX = 16
"""State classes are numbered 1 to 15; the frame header has a mask bit for each."""

BATCH_DELAY_MS = 100
"""Longest time a queued record waits for its frame."""

WITNESS_IDLE_MS = 50
"""Quiet time after which the witness is brought up to the durable LSN."""

QUARANTINE_BYTES_MAX = 16 << 20
"""Bytes kept in one quarantine folder; the oldest entries give way first."""
