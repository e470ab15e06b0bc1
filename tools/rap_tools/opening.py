"""Opening a store for a command: for reading, beside a live writer or without one, with its key or without.

Rules this file keeps:

- No lock is taken and nothing is changed.
- The key comes from --key-file, else from RAP_STATE_KEY_FILE, else from the provider that the marker names, with the operator's
  settings (`rap_projections.key_providers.choosing`). Without one, what is sealed stays sealed; a command that cannot do without says so.
- A cluster need not be named where the store holds one.
- A file of the store that is not there is damage, and is told as such: a store is made whole before it counts.

Example::

    with StoreReading.open(root, key_file) as store:
        history = store.history(store.choose(None))
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from rap_journal.errors import DamageError, KeyUnavailable, MisuseError, NoSuchStore, UnsafeFile
from rap_journal.filesystem import Directory
from rap_journal.key_files import KeyProvider
from rap_journal.layout import AGENT, AGENT_KEY_FOLDERS, CLUSTERS, KEY_FOLDERS, LOCK, MARKER
from rap_journal.markers import Marker, ProviderKind
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.reader import JournalReader
from rap_journal.values import ClusterId
from rap_projections.agent_reading import read_agent
from rap_projections.event_kinds import AGENT_CLASSES, CLUSTER_CLASSES
from rap_projections.history import ClusterHistory, History
from rap_projections.key_overview import JournalKeys, read_journal_keys
from rap_projections.key_providers.choosing import PROVIDER
from rap_projections.keys import FileKeyProvider, ProvisioningKeyProvider, provider_for
from rap_projections.refusals import NoSuchCluster
from rap_projections.store_folders import agent_setup
from rap_tools.frame_reading import FrameReader

SEALED = "(sealed)"
"""Stands for whatever only the key could show."""

AGENT_NAME = "agent"


class StoreReading:
    """A store that is open for reading.

    Attributes:
        path: its root, as it was given.
        marker: what its marker says.
        holder: what the live writer wrote into the lock, or None where there is no writer.
        key_file: the key file that was named, or None.
        has_keys: whether seals can be opened.
    """

    def __init__(
        self, path: str, keys: KeyProvider | KeyUnavailable, history: History, root: Directory, stack: ExitStack
    ) -> None:
        self.path = path
        self.key_file = keys.path if isinstance(keys, FileKeyProvider) else None
        self.has_keys = not isinstance(keys, KeyUnavailable)
        self._keys = keys
        self._history = history
        self._root = root
        self._stack = stack
        self.marker: Marker = history.marker
        self.holder: str | None = root.lock_holder(LOCK)

    @classmethod
    def open(cls, path: str, key_file: str | None, settings: Mapping[str, str] | None = None) -> Self:
        """Open the store in `path`, with the key file that is named, or with what the settings say of the marker's provider.

        Raises `NoSuchStore`, `UnsafeFile`, `FormatTooNew`, `DamageError`, `MisuseError` for settings that make no sense, `OSError`.
        """
        with ExitStack() as stack:
            try:
                history = stack.enter_context(History.open(path, keys=_NoKeys()))
            except UnsafeFile as error:
                # Any other folder of this machine may be open to others, and belong to whomever: it is no store, and no danger.
                marker = Path(path, MARKER)
                if Path(path).is_file():
                    raise NoSuchStore(
                        f"{path} is a file; nothing was read. A store is a folder: check the path.", file=path, reason="no_store"
                    ) from error
                if error.reason not in ("mode", "owner") or marker.exists() or marker.is_symlink():
                    raise
                raise NoSuchStore(
                    f"there is no store in {path}; nothing was read. Check the path.", file=path, reason="no_store"
                ) from error
            root = stack.enter_context(OsFileSystem().open_root(path))
            keys = NamedKeyFile(key_file) if key_file else _keys_from(history.marker.provider, settings or {})
            if not isinstance(keys, KeyUnavailable):
                history = stack.enter_context(History.open(path, keys=keys))
            return cls(path, keys, history, root, stack.pop_all())

    @property
    def keys(self) -> KeyProvider | None:
        """Where the key comes from; None where nothing says so."""
        return None if isinstance(self._keys, KeyUnavailable) else self._keys

    @property
    def is_live(self) -> bool:
        """Whether a writer is at work now."""
        return self._root.lock_holder(LOCK) is not None

    def clusters(self) -> tuple[str, ...]:
        """Ids of the clusters in the store, sorted."""
        with naming_damage(None):
            return self._history.clusters()

    def choose(self, wanted: str | None, named: Sequence[str | None] = ()) -> str:
        """The cluster to look at: the one wanted, the one that a selector names, or the only one there is.

        Raises `NoSuchCluster`, `DamageError` for one that was joined and is gone, or `MisuseError` where it would be a guess.
        """
        names = {name for name in (wanted, *named) if name}
        there = self.clusters()
        if len(names) > 1:
            raise MisuseError(
                f"two clusters are named, {' and '.join(sorted(names))}; nothing was read. Name one.", reason="two_clusters"
            )
        if names:
            name = ClusterId(names.pop())
            if name not in there and self.has_keys and name in read_agent(self.agent_reader()).joined():
                raise DamageError(
                    f"cluster {name} was joined and its folder is gone; nothing was read. Restore it, or leave and join again.",
                    cluster=name,
                    reason="missing_cluster",
                )
            if name not in there:
                raise NoSuchCluster(f"the store holds no cluster {name}{_there(there)}; nothing was read.", cluster=name)
            return name
        if len(there) == 1:
            return there[0]
        if not there:
            raise NoSuchCluster("the store holds no cluster yet; nothing was read. The agent joins clusters.")
        raise MisuseError(
            f"the store holds several clusters: {', '.join(there)}; nothing was read. Name one with -c.", reason="which_cluster"
        )

    def history(self, cluster: str) -> ClusterHistory:
        """A cluster's history. Raises `KeyUnavailable` without a key, `KeyLost`, `KeyTampered`, `DamageError`, `OSError`."""
        self._require_keys()
        with naming_damage(cluster):
            return self._history.cluster(cluster)

    def agent_reader(self) -> JournalReader:
        """The agent's own journal. Raises as `history` does."""
        keys = self._require_keys()
        with naming_damage(AGENT_NAME):
            reader = JournalReader.open(self._root.directory(AGENT), agent_setup(keys, _no_randomness), live=self.is_live)
        self._stack.callback(reader.close)
        return reader

    def agent_history(self) -> ClusterHistory:
        """The same, as a history; of it only the records can be asked for."""
        return ClusterHistory(AGENT_NAME, self.agent_reader())

    def frames(self, cluster: str) -> FrameReader:
        """The frames of a cluster's journal, for which no key is needed. Raises `DamageError`, `FormatTooNew`, `OSError`."""
        with naming_damage(cluster), self._root.directory(CLUSTERS) as clusters:
            return self._stack.enter_context(FrameReader.open(clusters.directory(cluster), CLUSTER_CLASSES, live=self.is_live))

    def agent_frames(self) -> FrameReader:
        """The frames of the agent's own journal."""
        with naming_damage(AGENT_NAME):
            return self._stack.enter_context(FrameReader.open(self._root.directory(AGENT), AGENT_CLASSES, live=self.is_live))

    def journal_keys(self, cluster: str | None) -> JournalKeys:
        """The key files of a cluster's journal, or of the agent's, for which no key is needed. What is wrong with them is in it."""
        name, folders = (cluster, KEY_FOLDERS) if cluster is not None else (AGENT_NAME, AGENT_KEY_FOLDERS)
        with naming_damage(name), ExitStack() as held:
            home = held.enter_context(self._root.directory(CLUSTERS)) if cluster is not None else self._root
            return read_journal_keys(held.enter_context(home.directory(name)), name, folders, self.keys)

    def require_keys(self) -> KeyProvider:
        """The key provider. Raises `KeyUnavailable` where none is at hand."""
        return self._require_keys()

    def close(self) -> None:
        """Let go of all files."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _require_keys(self) -> KeyProvider:
        if isinstance(self._keys, KeyUnavailable):
            raise self._keys
        return self._keys


@contextmanager
def naming_damage(cluster: str | None) -> Iterator[None]:
    """Tell of a file that is not there as the damage that it is."""
    try:
        yield
    except FileNotFoundError as error:
        raise DamageError(
            f"{error.filename or 'a file'} of {cluster or 'the store'} is not there any more; nothing was read. Restore it from a backup.",
            cluster=cluster, file=str(error.filename or ""), reason="missing_file",
        ) from error  # fmt: skip


class NamedKeyFile(FileKeyProvider):
    """A key file that a command line named: where it is not there, the name is most likely mistyped."""

    def key_encryption_key(self) -> bytes:
        """As a file's; its absence is told as what it most likely is."""
        try:
            return super().key_encryption_key()
        except KeyUnavailable as error:
            if error.reason != "no_key_file":
                raise
            raise KeyUnavailable(
                f"there is no key file {self.path}; nothing was opened. Check --key-file or RAP_STATE_KEY_FILE.",
                reason="no_key_file",
            ) from error


def provider_of_new_store(key_file: str | None, settings: Mapping[str, str]) -> ProvisioningKeyProvider:
    """Who is to hold the key of a store that is made: the key file that is named, or what the settings name.

    There is no marker yet that could name a kind. Raises `MisuseError` where nothing is named, and what `provider_for` raises.
    """
    if key_file is not None:
        return FileKeyProvider(Path(key_file).absolute())
    if not settings.get(PROVIDER):
        raise MisuseError(
            f"a new store needs a key, kept outside of it; nothing was made. Give --key-file FILE, or set {PROVIDER} and where its key is.",
            reason="no_key_file",
        )
    return provider_for(ProviderKind.FILE, settings)


class _NoKeys:
    """In place of a key provider where there is none: markers and locks are read without a key."""

    kind = ProviderKind.FILE

    def key_encryption_key(self) -> bytes:
        """There is none."""
        raise KeyUnavailable("no key is at hand; nothing was read.", reason="no_key")


def _keys_from(kind: ProviderKind, settings: Mapping[str, str]) -> KeyProvider | KeyUnavailable:
    """The provider that the settings tell of, or the error that says what they lack."""
    try:
        return provider_for(kind, settings)
    except KeyUnavailable as error:
        if kind is not ProviderKind.FILE:
            return error
        return KeyUnavailable(
            f"this is sealed, and no key is at hand (the store's key provider is {kind.name.lower()}); nothing was read. "
            "Give --key-file FILE, or set RAP_STATE_KEY_FILE.",
            reason="no_key",
        )


def _no_randomness(length: int) -> bytes:
    raise AssertionError("reading needs no randomness")


def _there(names: Sequence[str]) -> str:
    return f" (it holds {', '.join(names)})" if names else ""
