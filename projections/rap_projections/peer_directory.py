"""Which peers the signed directory names, and the small number each one has here.

Rules this file keeps:

- A directory never changes: a new one replaces it, so that a view or a buffer may keep the one it was given.
- A peer keeps its number for as long as it is listed. New ids take the lowest free numbers in sorted order, so that every replay
  numbers alike.
- A number that was given to another peer says so: a row observed under an older numbering is told from one of today.
- No more peers than the limit are kept. Those already here come first, then new ones in sorted order; the rest is counted.

Example::

    directory = EMPTY.succeeded_by(content_id, Version(1, 4), entries, peers_max=10_000, lsn=17)
    assert directory.number_of["node-17"] == 0 and directory.assigned_lsn[0] == 17
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count, islice
from types import MappingProxyType
from typing import Any, Self

from rap_projections.columns import Column, pack, regroup, unpack, zeros
from rap_projections.documents import PeerEntry, Version

NO_VERSION = Version(0, 0)
"""Stands where no document of the scope is active."""

_FREE = PeerEntry("", (), (), ())


@dataclass(frozen=True, slots=True)
class Directory:
    """The directory side of the peer cache. Columns are indexed by peer number; a free number has the id "".

    Attributes:
        content_id: the active peers snapshot, or None without one.
        version: its version.
        applied_lsn: LSN of the record that made this directory.
        numbering_lsn: LSN of the record that last gave or took a number.
        peers_max: the limit it was made under.
        left_out: listed peers that were not kept because of the limit.
        ids: id of each peer.
        endpoints: its endpoint candidates.
        fingerprints: its certificate fingerprints.
        roles: its roles.
        entry_lsn: LSN of the record that last changed what is listed for it.
        assigned_lsn: LSN of the record that gave it its number; 0 where the number is free.
        number_of: the number of each peer by id.
    """

    content_id: bytes | None
    version: Version
    applied_lsn: int
    numbering_lsn: int
    peers_max: int
    left_out: int
    ids: tuple[str, ...]
    endpoints: tuple[tuple[str, ...], ...]
    fingerprints: tuple[tuple[bytes, ...], ...]
    roles: tuple[tuple[str, ...], ...]
    entry_lsn: Column
    assigned_lsn: Column
    number_of: Mapping[str, int]

    def entry(self, number: int) -> PeerEntry:
        """What the directory lists for the peer with this number."""
        return PeerEntry(self.ids[number], self.endpoints[number], self.fingerprints[number], self.roles[number])

    def succeeded_by(
        self, content_id: bytes | None, version: Version, entries: Iterable[PeerEntry], *, peers_max: int, lsn: int
    ) -> "Directory":
        """The directory after the record `lsn` made this snapshot (None: no snapshot) the active one."""
        listed = {entry.id: entry for entry in entries}
        kept = {number: listed[peer] for peer, number in self.number_of.items() if peer in listed}
        kept = dict(sorted(kept.items())[:peers_max])
        staying = len(kept)
        here = {entry.id for entry in kept.values()}
        new = sorted(listed.keys() - here)[: peers_max - staying]
        free = list(islice((number for number in count() if number not in kept), len(new)))
        kept |= {number: listed[peer] for number, peer in zip(free, new, strict=True)}
        renumbered = bool(new) or staying < len(self.number_of)
        return self._made(content_id, version, kept, peers_max, len(listed) - len(kept), lsn, renumbered)

    def without(self, numbers: Iterable[int], *, peers_max: int, lsn: int) -> "Directory":
        """The directory after the record `lsn` evicted the peers with these numbers."""
        gone = set(numbers)
        kept = {number: self.entry(number) for number in self.number_of.values() if number not in gone}
        evicted = len(self.number_of) - len(kept)
        return self._made(self.content_id, self.version, kept, peers_max, self.left_out + evicted, lsn, evicted > 0)

    def _made(
        self,
        content_id: bytes | None,
        version: Version,
        kept: Mapping[int, PeerEntry],
        peers_max: int,
        left_out: int,
        lsn: int,
        renumbered: bool,
    ) -> "Directory":
        rows = [kept.get(number, _FREE) for number in range(max(kept, default=-1) + 1)]
        entry_lsn, assigned_lsn = zeros(len(rows)), zeros(len(rows))
        shared: dict[tuple[str, ...], tuple[str, ...]] = {}
        for number, row in enumerate(rows):
            before = self.number_of.get(row.id) == number
            assigned_lsn[number] = self.assigned_lsn[number] if before else lsn if row.id else 0
            entry_lsn[number] = self.entry_lsn[number] if before and self.entry(number) == row else lsn if row.id else 0
        ids, endpoints, fingerprints, roles = (
            [row.id for row in rows],
            [tuple(row.endpoints) for row in rows],
            [tuple(row.certificate_fingerprints) for row in rows],
            # Few sets of roles are in use, and many peers have each: one tuple serves them all.
            [shared.setdefault(tuple(row.roles), tuple(row.roles)) for row in rows],
        )
        return Directory(
            content_id, version, lsn, lsn if renumbered else self.numbering_lsn, peers_max, left_out,
            tuple(ids), tuple(endpoints), tuple(fingerprints), tuple(roles), entry_lsn, assigned_lsn, _numbers(ids),
        )  # fmt: skip

    def to_value(self) -> tuple[Any, ...]:
        """Everything, as arrays and packed columns: what a checkpoint keeps."""
        role_sets = sorted(set(self.roles))
        place = {roles: index for index, roles in enumerate(role_sets)}
        return (
            self.content_id, tuple(self.version), self.applied_lsn, self.numbering_lsn, self.peers_max, self.left_out,
            self.ids,
            pack("H", map(len, self.endpoints)), tuple(chain.from_iterable(self.endpoints)),
            pack("H", map(len, self.fingerprints)), tuple(chain.from_iterable(self.fingerprints)),
            tuple(role_sets), pack("I", map(place.__getitem__, self.roles)),
            pack("Q", self.entry_lsn), pack("Q", self.assigned_lsn),
        )  # fmt: skip

    @classmethod
    def from_value(cls, value: Any) -> Self:
        """The inverse of `to_value`. Raises TypeError, ValueError or IndexError for a value of another shape."""
        content_id, version, applied_lsn, numbering_lsn, peers_max, left_out, ids, *columns = value
        endpoint_counts, endpoints, fingerprint_counts, fingerprints, role_sets, role_places, entry_lsn, assigned_lsn = columns
        shared = [tuple(roles) for roles in role_sets]
        made = cls(
            content_id, Version(*version), applied_lsn, numbering_lsn, peers_max, left_out,
            tuple(ids),
            tuple(regroup(endpoints, unpack("H", endpoint_counts))),
            tuple(regroup(fingerprints, unpack("H", fingerprint_counts))),
            tuple([shared[place] for place in unpack("I", role_places)]),
            unpack("Q", entry_lsn), unpack("Q", assigned_lsn), _numbers(ids),
        )  # fmt: skip
        lengths = map(len, (made.endpoints, made.fingerprints, made.roles, made.entry_lsn, made.assigned_lsn))
        if {*lengths} != {len(made.ids)}:
            raise ValueError("columns of different lengths")
        return made


EMPTY = Directory(None, NO_VERSION, 0, 0, 0, 0, (), (), (), (), zeros(0), zeros(0), MappingProxyType({}))
"""Nothing was ever applied."""


def _numbers(ids: Iterable[str]) -> Mapping[str, int]:
    return {peer: number for number, peer in enumerate(ids) if peer}
