"""The ledger: what is still told of records whose segments were retired.

Rules this file keeps:

- Decisions, refusals, evictions and lifecycle events stay, exactly as they were; observations and notes go with their segments.
- A ledger file is on disk, synced and read back before a segment goes. Its name is the range of LSNs it stands for.
- Nothing depends on the ledger: a damaged file is history that is lost, and costs no state.
- Memory is bounded: one segment and the content of one file at a time.

The bytes are those of a sealed file with purpose 4 and class 0 (`sealed_files`; FORMAT.md, section 11). Content, deterministic CBOR::

    [first_lsn, last_lsn, node_us, [* [first_lsn of the run, payload of the run's records]]]

Example::

    keep_in_ledger(folders, journal_id, ring, inventory, last_lsn=floor, randomness=randomness)
    for span in list_ledger(folders.journal):
        read_ledger(folders.journal, span, journal_id, ring).records
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rap_journal.checkpoints import Anchor
from rap_journal.deterministic_cbor import MalformedCbor, decode_own, encode_arrays
from rap_journal.errors import DamageError
from rap_journal.filesystem import Directory, read_whole
from rap_journal.folders import JournalFolders
from rap_journal.format import SALT_BYTES
from rap_journal.inventory import Inventory
from rap_journal.layout import ledger_name, parse_ledger_name
from rap_journal.limits import LEDGER_FILE_BYTES
from rap_journal.payload import decode_payload, encode_payload
from rap_journal.records import Category, Record
from rap_journal.sealed_files import SealedFile, SealedHeader, encode_sealed_file, install_file, read_sealed_file, unseal_file
from rap_journal.sealing import KeyRing, Purpose
from rap_journal.walk import Walk, records_of

LEDGER_CATEGORIES = frozenset({Category.DECISION, Category.REFUSAL, Category.EVICTION, Category.LIFECYCLE})
"""What outlives its segment (journal, 17)."""


class LedgerSpan(NamedTuple):
    """The LSNs that a ledger file stands for, as its name says."""

    first_lsn: int
    last_lsn: int

    @property
    def name(self) -> str:
        """Name of the file."""
        return ledger_name(self.first_lsn, self.last_lsn)


class Ledger(NamedTuple):
    """What a ledger file holds.

    Attributes:
        anchor: place in the journal at which what it stands for ends.
        node_us: highest node time of the records it stands for.
        records: those that are kept, by LSN.
    """

    anchor: Anchor
    node_us: int
    records: tuple[Record, ...]


def list_ledger(folder: Directory) -> list[LedgerSpan]:
    """The ledger files in a journal's folder of segments, oldest first."""
    return sorted(LedgerSpan(*span) for name in folder.names() if (span := parse_ledger_name(name)) is not None)


def read_ledger(folder: Directory, span: LedgerSpan, journal_id: bytes, keys: KeyRing) -> Ledger:
    """Read and unseal one file. Raises `FileNotFoundError`, `DamageError`, `SealBroken`, `FormatTooNew`, `KeyUnavailable`, `OSError`."""
    return open_ledger(check_ledger_file(folder, span, journal_id), span, keys)


def check_ledger_file(folder: Directory, span: LedgerSpan, journal_id: bytes | None) -> SealedFile:
    """Read one file and check what needs no key; a `journal_id` of None is not compared. Raises like `read_ledger`."""
    file = read_sealed_file(folder, span.name)
    header = file.header
    if (header.purpose, header.state_class) != (Purpose.LEDGER, 0) or journal_id not in (None, header.journal_id):
        raise _damage(folder, span, "foreign")
    if header.lsn != span.last_lsn or not 1 <= span.first_lsn <= span.last_lsn:
        raise _damage(folder, span, "misnamed")
    return file


def open_ledger(file: SealedFile, span: LedgerSpan, keys: KeyRing) -> Ledger:
    """What a checked file says. Raises `SealBroken`, `KeyUnavailable`, and `DamageError` for what is no ledger."""
    content, header = unseal_file(file, keys), file.header
    try:
        first_lsn, last_lsn, node_us, runs = decode_own(content)
        records = tuple([record for lsn, payload in runs for record in decode_payload(payload, lsn)])
    except (MalformedCbor, ValueError, TypeError) as error:
        raise DamageError(f"{file.name} unseals to something that is no ledger", file=file.name, reason="bad_content") from error
    if (first_lsn, last_lsn) != span or any(not first_lsn <= record.lsn <= last_lsn for record in records):
        raise DamageError(f"{file.name} stands for other LSNs than its name says", file=file.name, reason="bad_content")
    return Ledger(Anchor(header.lsn, header.epoch, header.chain_digest), node_us, records)


def keep_in_ledger(
    folders: JournalFolders,
    journal_id: bytes,
    keys: KeyRing,
    inventory: Inventory,
    *,
    last_lsn: int,
    randomness: Callable[[int], bytes],
) -> tuple[LedgerSpan, ...]:
    """Write down what stays of the records up to `last_lsn`, at which a segment ends; durable and read back on return.

    What an earlier retiring wrote down and did not live to make use of is made again. Returns the files written.
    Raises `OSError`, also for a full disk; `SealBroken` and `DamageError` where what is to go is not what was written.
    """
    first_lsn = _first_missing(folders.journal, inventory)
    pages = _Pages(folders, journal_id, keys, randomness, first_lsn)
    walk = Walk(folders.journal, inventory, first_lsn - 1)
    for segment in walk:
        if segment.file.header.first_lsn > last_lsn:
            break
        for frame, records in records_of(segment, keys, first_lsn - 1):
            pages.take(records, Anchor(frame.header.last_lsn, frame.header.epoch, frame.digest))
        pages.reach(Anchor(walk.end.chain.last_lsn, segment.file.header.epoch, walk.end.chain.digest))
    pages.finish()
    # Also where nothing was written: an earlier retiring may have been killed between giving a name and syncing it.
    folders.journal.sync()
    return tuple(pages.written)


def _first_missing(folder: Directory, inventory: Inventory) -> int:
    """The first LSN that no ledger file stands for; files for segments that are all still there are removed: nobody vouches for them."""
    kept_from = inventory.chain[0].header.first_lsn
    first_lsn = kept_from
    for span in list_ledger(folder):
        if span.first_lsn >= kept_from:
            folder.unlink(span.name)
        else:
            first_lsn = max(first_lsn, span.last_lsn + 1)
    return first_lsn


class _Pages:
    """Ledger files in the making, one after the other."""

    def __init__(
        self, folders: JournalFolders, journal_id: bytes, keys: KeyRing, randomness: Callable[[int], bytes], first_lsn: int
    ) -> None:
        self._folders = folders
        self._journal_id = journal_id
        self._keys = keys
        self._randomness = randomness
        self._first_lsn = first_lsn
        self._anchor: Anchor | None = None
        self._node_us = 0
        self._runs: list[tuple[int, bytes]] = []
        self._byte_count = 0
        self.written: list[LedgerSpan] = []

    def take(self, records: Sequence[Record], anchor: Anchor) -> None:
        """Take one frame."""
        self._node_us = max([self._node_us, *(record.node_us for record in records)])
        for run in _runs(records, self._first_lsn):
            payload = encode_payload(run)
            self._runs.append((run[0].lsn, payload))
            self._byte_count += len(payload)
        self.reach(anchor)
        if self._byte_count >= LEDGER_FILE_BYTES:
            self.finish()

    def reach(self, anchor: Anchor) -> None:
        """Everything up to `anchor` was taken, or is lost."""
        if anchor.lsn >= self._first_lsn:
            self._anchor = anchor

    def finish(self) -> None:
        """Write a file for what was taken since the last one."""
        if self._anchor is None:
            return
        anchor, span = self._anchor, LedgerSpan(self._first_lsn, self._anchor.lsn)
        content = encode_arrays([*span, self._node_us, self._runs])
        header = SealedHeader(Purpose.LEDGER, 0, self._journal_id, anchor.lsn, anchor.epoch, anchor.digest)
        data = encode_sealed_file(span.name, header, content, self._keys, self._randomness(SALT_BYTES))
        install_file(self._folders.temporary, self._folders.journal, span.name, data)
        _verify_on_disk(self._folders.journal, span, data)
        self.written.append(span)
        self._first_lsn, self._anchor, self._runs, self._byte_count = anchor.lsn + 1, None, [], 0


def _runs(records: Sequence[Record], first_lsn: int) -> Iterator[list[Record]]:
    """The records that stay, cut where one in between does not: LSNs within a payload are dense."""
    run: list[Record] = []
    for record in records:
        if record.lsn >= first_lsn and record.category in LEDGER_CATEGORIES:
            run.append(record)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _verify_on_disk(folder: Directory, span: LedgerSpan, data: bytes) -> None:
    with folder.open(span.name) as file:
        file.forget_cache()
    if read_whole(folder, span.name, len(data)) != data:
        raise _damage(folder, span, "read_back")


def _damage(folder: Directory, span: LedgerSpan, reason: str) -> DamageError:
    path = f"{folder.name}/{span.name}"
    return DamageError(f"{path} is not the ledger file that was written ({reason}); it was left alone.", file=path, reason=reason)
