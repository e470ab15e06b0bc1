"""Which segments a journal folder holds, and in which order they follow on each other.

Rules this file keeps:

- The chain is followed backwards from the newest segment: each header names the one before it, by number, epoch and incarnation,
  so that a segment of another history of the same journal (a restored backup that was written on) is never taken for it.
- What is not on the chain is a stray: foreign, stale, or damaged; it is named and left alone.
- Only headers are read here; frames are the scanner's.

Example::

    inventory = take_inventory(journal_folder, journal_id)
    inventory.chain[-1].header.first_lsn
"""

from typing import NamedTuple

from rap_journal.errors import DamageError
from rap_journal.filesystem import Directory
from rap_journal.format import SEGMENT_HEADER_BYTES
from rap_journal.layout import parse_segment_name, segment_name
from rap_journal.limits import SEGMENT_BYTES_MAX
from rap_journal.segments import SegmentHeader, decode_segment_header, header_chain_digest
from rap_journal.values import Epoch, SegmentNumber

_STRAY_NUMBER_MAX = 10**11
"""A name with a higher number was not made by this store: it would take 10**11 segments, or a file somebody put there."""


class SegmentFile(NamedTuple):
    """A segment on disk whose header is valid and ours. `size` is what of it may be read: no segment is larger than 1 GiB."""

    name: str
    header: SegmentHeader
    header_digest: bytes
    size: int


class Stray(NamedTuple):
    """A file in the journal folder that is not part of the chain, and why ("foreign", "stale", "misnamed" or the damage's reason)."""

    name: str
    number: int
    reason: str


class Inventory(NamedTuple):
    """What a journal folder holds.

    Attributes:
        chain: segments that follow on each other, oldest first, ending with the newest.
        strays: other files with segment names.
    """

    chain: tuple[SegmentFile, ...]
    strays: tuple[Stray, ...]

    @property
    def number_max(self) -> int:
        """The highest segment number any file uses, as far as a name that anybody may have made up can be believed."""
        plausible = [stray.number for stray in self.strays if stray.number <= _STRAY_NUMBER_MAX]
        return max([segment.header.number for segment in self.chain] + plausible, default=0)

    @property
    def reaches_back(self) -> bool:
        """Whether the first record there ever was is kept, or there never was one: then every class can be folded from nothing."""
        return not self.chain or self.chain[0].header.first_lsn == 1

    def damaged(self) -> tuple[Stray, ...]:
        """Strays that are damage: neither stale nor foreign."""
        return tuple(stray for stray in self.strays if stray.reason not in ("stale", "foreign"))

    def unreadable_after_chain(self) -> tuple[Stray, ...]:
        """Files named as segments later than the newest of the chain, whose headers are damaged: they may have held records.

        A segment gets its name after its header is synced, so no crash leaves one.
        """
        newest = self.chain[-1].header.number if self.chain else 0
        return tuple(
            stray for stray in self.damaged() if stray.reason != "misnamed" and newest < stray.number <= _STRAY_NUMBER_MAX
        )


def take_inventory(folder: Directory, journal_id: bytes) -> Inventory:
    """Read all segment headers in `folder`. Raises `FormatTooNew` for a segment of a later format."""
    found: dict[tuple[int, int], SegmentFile] = {}
    strays: list[Stray] = []
    for name in folder.names():
        parsed = parse_segment_name(name)
        if parsed is None:
            continue
        entry = _read(folder, name, parsed, journal_id)
        if isinstance(entry, Stray):
            strays.append(entry)
        else:
            found[parsed] = entry
    chain = _follow(found)
    strays += [Stray(file.name, file.header.number, "stale") for file in found.values()]
    return Inventory(chain, tuple(strays))


def _read(folder: Directory, name: str, parsed: tuple[SegmentNumber, Epoch], journal_id: bytes) -> SegmentFile | Stray:
    with folder.open(name) as file:
        head = file.read_at(0, SEGMENT_HEADER_BYTES)
        size = min(file.size(), SEGMENT_BYTES_MAX)
    try:
        header = decode_segment_header(head, f"{folder.name}/{name}")
    except DamageError as error:
        return Stray(name, parsed[0], error.reason or "damaged")
    if header.journal_id != journal_id:
        return Stray(name, parsed[0], "foreign")
    if segment_name(header.number, header.epoch) != name:
        return Stray(name, parsed[0], "misnamed")
    return SegmentFile(name, header, header_chain_digest(head), size)


def _follow(found: dict[tuple[int, int], SegmentFile]) -> tuple[SegmentFile, ...]:
    """Take the chain out of `found`, newest to oldest, and return it oldest first."""
    chain: list[SegmentFile] = []
    key = max(found, default=None)
    while key is not None:
        segment = found.pop(key)
        chain.append(segment)
        before = segment.header.predecessor
        key = (before.number, before.epoch)
        if key not in found or found[key].header.incarnation != before.incarnation:
            # The walk reports the hole by its LSNs; what is older still serves below it.
            key = max((other for other in found if other[0] < before.number and other[1] <= before.epoch), default=None)
    return tuple(reversed(chain))
