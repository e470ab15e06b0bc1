"""What every file and folder of a journal is called, and which names are ours.

Rules this file keeps: a name is made here and parsed here; a name that does not parse is foreign and left alone.

Example::

    assert parse_segment_name(segment_name(SegmentNumber(7), Epoch(2))) == (7, 2)
"""

import re

from rap_journal.values import Epoch, SegmentNumber

LOCK = "LOCK"
MARKER = "MARKER"
WITNESS = "WITNESS"
JOURNAL = "journal"
QUARANTINE = "quarantine"
TEMPORARY = "tmp"
SPARE = "spare"
NEXT = "next"
AGENT = "agent"
AGENT_DAMAGED = "agent-damaged"
"""Where the agent's folder goes when it cannot be opened; the last one is kept, and nothing reads it."""

AGENT_NEXT = ".agent-next"
"""A folder of the agent that is being made in place of a damaged one."""

RESTORING = ".restoring"
"""Says that a store is being restored into this root: without a marker beside it, what is there is half of one."""

CLUSTERS = "clusters"
JOIN_PREFIX = ".join-"

KEY_FOLDERS = ("identity", "trust")
"""Class folders that each hold a copy of the key file."""

AGENT_KEY_FOLDERS = (AGENT, QUARANTINE)
"""The same, of the agent's journal, which has one class."""

_HOLDER = re.compile(rb"pid [0-9]{1,10} boot [0-9a-f]{32}")
_SEGMENT = re.compile(r"([0-9]{8,12})-([0-9]{8,10})")
_LEDGER = re.compile(r"ledger-([0-9]{16})-([0-9]{16})")
_CHECKPOINT = re.compile(r"checkpoint-([0-9]{16})")
_DOCUMENT = re.compile(r"document-([0-9a-f]{32})")
_WIPING = re.compile(r"wiping-([0-9a-f]{32})")
_KEYS = re.compile(r"keys-([0-9]{8})")
_QUARANTINED = re.compile(r"([0-9]{8,12})-([0-9]{8,12})-([0-9a-f]{16})")


def segment_name(number: SegmentNumber, epoch: Epoch) -> str:
    """Name of a segment within the journal folder."""
    return f"{number:08d}-{epoch:08d}"


def parse_segment_name(name: str) -> tuple[SegmentNumber, Epoch] | None:
    """Number and epoch of a segment's name, or None for any other name."""
    match = _SEGMENT.fullmatch(name)
    return (SegmentNumber(int(match[1])), Epoch(int(match[2]))) if match else None


def ledger_name(first_lsn: int, last_lsn: int) -> str:
    """Name, within the journal folder, of the ledger file that stands for these LSNs."""
    return f"ledger-{first_lsn:016d}-{last_lsn:016d}"


def parse_ledger_name(name: str) -> tuple[int, int] | None:
    """First and last LSN of a ledger file's name, or None for any other name."""
    match = _LEDGER.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None


def checkpoint_name(lsn: int) -> str:
    """Name of a class's checkpoint at `lsn` within the class folder."""
    return f"checkpoint-{lsn:016d}"


def parse_checkpoint_name(name: str) -> int | None:
    """LSN of a checkpoint's name, or None for any other name."""
    match = _CHECKPOINT.fullmatch(name)
    return int(match[1]) if match else None


def document_name(file_id: bytes) -> str:
    """Name of a document's file within its class folder; `file_id` is the first half of the file's salt."""
    return f"document-{file_id.hex()}"


def parse_document_name(name: str) -> bytes | None:
    """File id of a document's name, or None for any other name."""
    match = _DOCUMENT.fullmatch(name)
    return bytes.fromhex(match[1]) if match else None


def wiping_name(file_id: bytes) -> str:
    """What a document's file is called from the moment on that its content may be overwritten."""
    return f"wiping-{file_id.hex()}"


def parse_wiping_name(name: str) -> bytes | None:
    """File id of a document that is being wiped, or None for any other name."""
    match = _WIPING.fullmatch(name)
    return bytes.fromhex(match[1]) if match else None


def keys_name(generation: int) -> str:
    """Name of the key file of a generation."""
    return f"keys-{generation:08d}"


def parse_keys_name(name: str) -> int | None:
    """Generation of a key file's name, or None for any other name."""
    match = _KEYS.fullmatch(name)
    return int(match[1]) if match else None


def lock_holder_text(process_id: int, boot_id: bytes) -> str:
    """What a writer writes into the lock file. It is empty when nobody holds the lock, but after a kill."""
    return f"pid {process_id} boot {boot_id.hex()}"


def is_lock_text(data: bytes) -> bool:
    """Whether a lock file holds nothing, or the text of a writer that was killed."""
    return not data or _HOLDER.fullmatch(data) is not None


def quarantine_name(segment: int, offset: int, sha256: bytes) -> str:
    """Name under which bytes cut from a segment are kept: the same bytes always get the same name."""
    return f"{segment:08d}-{offset:08d}-{sha256[:8].hex()}"


def parse_quarantine_name(name: str) -> tuple[int, int] | None:
    """Segment and offset of a quarantined piece's name, or None for any other name."""
    match = _QUARANTINED.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None
