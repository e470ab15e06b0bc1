"""Reading a store's history beside its writer: states at any LSN or time, and the events in between.

Rules this file keeps:

- No lock is taken, nothing is changed, and nothing past the horizon is looked at.
- A state is folded from the newest checkpoint at or before the LSN asked for; before the history floor there is none, and the
  error says from where on there is: LSN and time.
- Of events whose segments are gone the ledger tells, with the mark that their states cannot be shown.

Example::

    with History.open(root, keys=keys) as history:
        view = history.cluster("eu-west-1").at(lsn=1234)
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import PurePath
from types import TracebackType
from typing import Any, NamedTuple, Self

from rap_journal.errors import MisuseError, NoSuchRecord, NoSuchStore
from rap_journal.filesystem import Directory, FileSystem
from rap_journal.key_files import KeyProvider
from rap_journal.layout import CLUSTERS, LOCK, MARKER, RESTORING
from rap_journal.markers import Marker, read_marker
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.reader import Horizon, JournalReader
from rap_journal.records import Record
from rap_journal.sealed_store import load_document
from rap_journal.values import ClassSpec, ClusterId
from rap_journal.witness import open_slot
from rap_projections.arguments import require, require_optional
from rap_projections.cluster_view import ClusterView, view_of
from rap_projections.document_shelf import DocumentShelf
from rap_projections.event_kinds import SNAPSHOTS
from rap_projections.folding import ClassFolds, FoldedState
from rap_projections.opening_arguments import require_opening
from rap_projections.policy import Policy
from rap_projections.refusals import NoSuchCluster
from rap_projections.release import RELEASE, Release
from rap_projections.store_folders import cluster_setup
from rap_projections.store_making import require_unused
from rap_projections.store_root import require_no_part


class LedgerEntry(NamedTuple):
    """A decision, refusal, eviction or lifecycle event whose segment is gone: it can be told of, and no state can be shown there.

    Attributes:
        record: the event, exactly as it was.
        state_from_lsn: the first LSN at which states can be shown; always later than the record.
    """

    record: Record
    state_from_lsn: int


class ClusterHistory:
    """One cluster's history up to a horizon."""

    def __init__(self, cluster_id: str, reader: JournalReader, classes: Sequence[ClassFolds] = RELEASE.cluster) -> None:
        self.id = cluster_id
        self._reader = reader
        self._classes = classes

    @property
    def horizon(self) -> Horizon:
        """How far this history looks, and from where on states can be shown."""
        return self._reader.horizon

    def at(self, *, lsn: int | None = None, time: datetime | None = None, digest: bool = False) -> ClusterView:
        """The state at an LSN, or at a wall-clock time; the newest one without either.

        At a time: after the last record whose wall clock says that time or earlier, looking backwards from the horizon.
        Raises `HistoryGone` before the floor, `NoSuchRecord` beyond the horizon or before the first record there ever was, `DamageError`
        where a class has no whole checkpoint to start from, `MisuseError` for a naive time.
        """
        require_optional("lsn", lsn, int)
        require("digest", digest, bool)
        if lsn is not None and time is not None:
            raise MisuseError("both an LSN and a time; nothing was read. Give one.", reason="ambiguous")
        if time is not None:
            lsn = self.lsn_at(time)
        state = self.state_at(self.horizon.lsn if lsn is None else lsn)
        return view_of(self.id, state, with_digest=digest)

    def state_at(self, lsn: int, *, from_floor: bool = False) -> FoldedState:
        """The folded state at `lsn`; `from_floor` starts from the oldest checkpoint instead of the newest usable one."""
        shelf = DocumentShelf(self, lambda: state.view(SNAPSHOTS))
        state = FoldedState(self._classes, shelf)
        limit = self.horizon.oldest_lsn if from_floor else lsn
        since: dict[int, int] = {}
        for folds in self._classes:
            loaded = self._reader.checkpoint_before(folds.spec, min(limit, lsn))
            state.restore(folds.spec.number, loaded.content.value)
            since[folds.spec.number] = loaded.anchor.lsn
            state.node_us = max(state.node_us, loaded.content.node_us)
        state.lsn = max(since.values())
        for _frame, records in self._reader.records(min(since.values()), lsn):
            shelf.note(records)
            newer = [record for record in records if since.get(record.state_class, 0) < record.lsn <= lsn]
            if newer:
                state.apply(newer)
        return state

    def records(self, *, after: int = 0, until: int | None = None) -> Iterator[Record]:
        """Every record after LSN `after`, up to `until` or the horizon, oldest first. Raises `MisuseError` for what is no LSN."""
        require("after", after, int)
        require_optional("until", until, int)
        for _frame, records in self._reader.records(after, until):
            for record in records:
                if record.lsn + record.rows - 1 > after and (until is None or record.lsn <= until):
                    yield record

    @property
    def first_lsn(self) -> int:
        """LSN of the oldest record that `records` gives."""
        return self._reader.first_lsn

    def ledger(self, *, after: int = 0, until: int | None = None) -> Iterator[LedgerEntry]:
        """What is still told of events after LSN `after`, up to `until`, that `records` no longer gives; oldest first.

        Raises `DamageError` and `SealBroken` where a file of the ledger is not what was written.
        """
        state_from_lsn = max(self.horizon.oldest_lsn, self.first_lsn)
        for record in self._reader.ledger(after, until):
            yield LedgerEntry(record, state_from_lsn)

    def lsn_at(self, time: datetime) -> int:
        """The last LSN whose wall clock says `time` or earlier.

        Raises `NoSuchRecord` when there never was one, `HistoryGone` when there is none any more, `MisuseError` for a naive time.
        """
        require("time", time, datetime)
        if time.tzinfo is None:
            raise MisuseError(
                "a time without a zone; nothing was read. Give one with its zone, such as 2026-01-31T03:12:00Z.",
                reason="naive_time",
            )
        wall_us = int(time.astimezone(UTC).timestamp() * 1_000_000)
        found = 0
        for record in self.records():
            if record.wall_us <= wall_us:
                found = record.lsn + record.rows - 1
        if not found and self.first_lsn > 1:
            raise self._reader.history_gone(None)
        if not found:
            raise NoSuchRecord(f"no record of {self.id} is as old as {time.isoformat()}.", cluster=self.id, reason="before_first")
        return found

    def documents(self, content_id: bytes) -> tuple[bytes, ...]:
        """A kept snapshot, as received: the full document, then increments. Raises `DamageError` when one is not there any more."""
        shelf = DocumentShelf(self, lambda: state.view(SNAPSHOTS))
        state = self.state_at(self.horizon.lsn)
        return shelf.documents(content_id)

    def store(self, spec: ClassSpec, content: bytes) -> bytes:
        """A history writes nothing."""
        raise MisuseError("a history is read-only; nothing was done.", reason="read_only")

    def load(self, spec: ClassSpec, file_id: bytes) -> bytes:
        """The content of a kept document's file."""
        keys = self._reader.keys
        return load_document(self._reader.folders, spec, file_id, journal_id=keys.marker.journal_id, keys=keys.ring)

    @property
    def journal_id(self) -> bytes:
        """The id of the journal, 16 bytes."""
        return self._reader.keys.marker.journal_id

    @property
    def incarnation(self) -> bytes:
        """The opening that the witness saw last, 16 bytes."""
        return self._reader.slot.point.incarnation

    def witnessed_floors(self) -> Any:
        """The floors that the witness knows. Raises `SealBroken` where it was tampered with."""
        return open_slot(self._reader.slot, self._reader.keys.ring).floors

    def refresh(self, *, live: bool) -> None:
        """Move the horizon to what is durable now."""
        self._reader.refresh(live=live)

    def close(self) -> None:
        """Let go of the files."""
        self._reader.close()


class History:
    """A store opened for reading, beside a live writer or without one."""

    def __init__(self, root: Directory, keys: KeyProvider, release: Release) -> None:
        self._root = root
        self._keys = keys
        self._release = release
        self._open: dict[str, ClusterHistory] = {}

    @classmethod
    def open(
        cls, root: str | PurePath, *, keys: KeyProvider, filesystem: FileSystem | None = None, release: Release = RELEASE
    ) -> Self:
        """Open the store in `root` for reading. Raises `NoSuchStore`, `UnsafeFile`, `FormatTooNew`, `DamageError`."""
        require_opening(root=root, keys=keys, filesystem=filesystem)
        try:
            opened = (filesystem or OsFileSystem()).open_root(str(root))
        except FileNotFoundError as error:
            raise _no_store(str(root)) from error
        with ExitStack() as closing_on_failure:
            closing_on_failure.callback(opened.close)
            if opened.status(MARKER) is None:
                if opened.status(RESTORING) is None:
                    require_unused(opened, str(root))
                raise _no_store(str(root))
            require_no_part(opened, str(root))
            closing_on_failure.pop_all()
        return cls(opened, keys, release)

    @property
    def marker(self) -> Marker:
        """What the store's marker says."""
        return read_marker(self._root).marker

    @property
    def is_live(self) -> bool:
        """Whether a writer holds the store's lock now."""
        return self._root.lock_holder(LOCK) is not None

    def clusters(self) -> tuple[str, ...]:
        """Ids of the clusters in the store."""
        with self._root.directory(CLUSTERS) as clusters:
            return tuple(name for name in clusters.names() if not name.startswith("."))

    def cluster(self, cluster_id: str) -> ClusterHistory:
        """One cluster's history. Raises `NoSuchCluster`, `KeyUnavailable`, `KeyTampered`, `DamageError`."""
        name = ClusterId(cluster_id)
        if name not in self._open:
            with self._root.directory(CLUSTERS) as clusters:
                if clusters.status(name) is None:
                    raise NoSuchCluster(f"the store holds no cluster {name}.", cluster=name)
                directory = clusters.directory(name)
            setup = cluster_setup(self._keys, _no_randomness, Policy(), self._release)
            reader = JournalReader.open(directory, setup, live=self.is_live)
            self._open[name] = ClusterHistory(name, reader, self._release.cluster)
        return self._open[name]

    def refresh(self) -> None:
        """Move the horizon of every open cluster to what is durable now."""
        live = self.is_live
        for cluster in self._open.values():
            cluster.refresh(live=live)

    def close(self) -> None:
        """Let go of all files."""
        for cluster in self._open.values():
            cluster.close()
        self._open.clear()
        self._root.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _no_randomness(length: int) -> bytes:
    raise AssertionError("reading needs no randomness")


def _no_store(path: str) -> NoSuchStore:
    return NoSuchStore(f"there is no store in {path}; nothing was read. Check the path.", file=path, reason="no_store")
