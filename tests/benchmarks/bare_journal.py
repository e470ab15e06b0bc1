"""A journal with projections that do nothing: what the engine alone takes.

Example::

    journal = make_bare_journal(path)
    append(journal, record(HEALTH, bytes(256)), strict=False)
"""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rap_journal.fold_sets import FoldSet
from rap_journal.journal import Journal
from rap_journal.markers import Marker, MarkerKind
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.records import Category, Record
from rap_journal.unlocking import Setup
from rap_journal.values import ClassSpec
from rap_projections.event_kinds import HEALTH, TRUST
from rap_projections.keys import FileKeyProvider

BOOT_ID = bytes(16)


class NoProjections:
    """Takes every record and keeps none."""

    def restore(self, state_class: int, value: Any) -> None:
        pass

    def apply(self, records: Sequence[Record]) -> None:
        pass

    def floors(self) -> Any:
        return None

    def waiting(self, rows_max: int) -> Sequence[Record]:
        return ()

    def give_back(self, records: Sequence[Record]) -> None:
        pass

    def committed(self, records: Sequence[Record]) -> None:
        pass


def make_bare_journal(folder: Path) -> Journal:
    """A new journal of two classes, one strict and one sync, in `folder`."""
    provider = FileKeyProvider(folder / "key")
    provider.provision(secrets.token_bytes)
    setup = Setup((TRUST, HEALTH), ("trust",), provider, secrets.token_bytes, fold_set=FoldSet(1))
    path, filesystem = str(folder / "journal"), OsFileSystem()
    marker = Marker(MarkerKind.CLUSTER, provider.kind, secrets.token_bytes(16), secrets.token_bytes(16), "bench")
    Journal.create(filesystem.open_root(path, create=True), marker, setup, {TRUST.number: None, HEALTH.number: None}, None, 0)
    return Journal.open(filesystem.open_root(path), setup, NoProjections())


def record(spec: ClassSpec, body: bytes) -> Record:
    """A record of one byte string."""
    return Record(0, 1, 1, Category.DECISION, spec.number, 1, 1, 1, 1, BOOT_ID, (), None, "bench", None, (body,))


def append(journal: Journal, one: Record, *, strict: bool) -> None:
    """Append `one`; return when it is acknowledged."""
    journal.wait(journal.submit([one], strict=strict, privileged=True))
