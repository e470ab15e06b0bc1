"""The keys of a whole store: who may open it, one more, one less, and data keys made anew.

Rules this file keeps:

- Each journal (one per cluster, and the agent's) has key files of its own; a change is made to one after the other, each crash-safe.
  Killed in between or failing for one, the same call finishes the rest: what is done already is no change.
- No slot replaces another. The last one stays, and so does the one by which the store is open.
- A marker never names a provider that has no slot any more: it is changed before the slot goes.
- A cluster that is joined later, and a data key that is made anew, has a slot of the provider that the store is open with, and no
  other: `lacking` says who is missing.
- Whoever ever held a data key can read what it sealed, from any copy. Taking a slot away shuts nobody out of what is written next
  who kept a copy of the key file: a new data key does.

Example::

    store.keys.add_slot(RecoveryPassphraseProvider(ask))
    store.keys.lacking()
    store.keys.rotate_data_keys([RecoveryPassphraseProvider(ask)])
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import NamedTuple, Protocol

from rap_journal.errors import KeyUnavailable, MisuseError, StateStoreError
from rap_journal.filesystem import Directory
from rap_journal.key_files import KeyFile, KeyProvider, open_keys
from rap_journal.key_slots import install_key_file, read_key_files, slot_names, slots_of, with_slot, without_slots
from rap_journal.layout import AGENT, AGENT_KEY_FOLDERS, KEY_FOLDERS
from rap_journal.markers import ProviderKind, read_marker
from rap_journal.space import no_space_means
from rap_projections.arguments import require, require_able
from rap_projections.key_overview import lacking
from rap_projections.keys import require_outside
from rap_projections.store_folders import StoreFolders


class Slot(NamedTuple):
    """One way into one journal. Safe to show.

    Attributes:
        journal: cluster id, or "agent".
        provider: kind of provider that opens it.
        id: 16 hex digits that name this slot alone.
        generation: generation of the data key that it wraps.
    """

    journal: str
    provider: ProviderKind
    id: str
    generation: int


class Keyed(Protocol):
    """What has a journal: its marker names a kind of provider and the data key that seals."""

    def name_provider(self, kind: ProviderKind) -> None:
        """Let the marker name this kind."""
        ...

    def rotate_data_key(self) -> int:
        """Make a new data key; returns its generation."""
        ...


class _Journal(NamedTuple):
    name: str
    root: Directory
    folders: tuple[str, ...]

    def files(self, opener: KeyProvider) -> list[KeyFile]:
        """Its key files. One of an older generation that the opener does not open is left out: nobody here can change it."""
        current = read_marker(self.root).marker.key_generation
        files = read_key_files(self.root, self.folders)
        return [file for file in files if file.key_generation >= current or _opens(file, opener)]


class StoreKeys:
    """What `store.keys` is. Thread-safe."""

    def __init__(
        self,
        folders: StoreFolders,
        path: str,
        membership: AbstractContextManager[bool],
        opened: Callable[[], Mapping[str, Keyed]],
        note: Callable[[str, str], None],
        provision_anchor: Callable[[], int],
    ) -> None:
        self._folders = folders
        self._path = path
        self._membership = membership
        self._opened = opened
        self._note = note
        self._provision_anchor = provision_anchor

    @property
    def protection(self) -> str:
        """The kind of provider that the store is open with, as status names it."""
        return self._folders.keys.kind.name.lower()

    def slots(self) -> tuple[Slot, ...]:
        """All slots of all journals: the agent's first, then by cluster. A journal whose key file cannot be read has none here."""
        found: list[Slot] = []
        with self._journals() as journals:
            for journal in journals:
                with suppress(StateStoreError, OSError):
                    files = read_key_files(journal.root, journal.folders)
                    found += [Slot(journal.name, *name) for file in files for name in slot_names(file)]
        return tuple(found)

    def lacking(self) -> dict[str, tuple[ProviderKind, ...]]:
        """Journals with a key file that has fewer slots of a kind than another one: what `add_slot` is still to be called for."""
        return lacking((slot.journal, slot.generation, slot.provider) for slot in self.slots())

    def add_slot(self, provider: KeyProvider) -> int:
        """Let `provider` open the store too; returns in how many key files it has a new slot. Where it has one already, nothing changes.

        The provider must have its key, and is asked to prove it. Raises `MisuseError` where all places are taken, what the provider
        raises, `NoSpace`, and what `slots` raises: for the first journal that could not be changed, after all others were.
        """
        require_able("provider", provider, "kind", "key_encryption_key")
        opener, randomness = self._folders.keys, self._folders.randomness
        require_outside(self._path, provider)
        with self._journals() as journals:
            count = _for_each(
                journals, opener, lambda journal, file: _install(journal, file, with_slot(file, opener, provider, randomness))
            )
            self._tell("key-slot-added", provider.kind, "key files changed", count)
        return count

    def remove_slot(self, which: ProviderKind | KeyProvider | str) -> int:
        """Take a way in away; returns how many slots went.

        Args:
            which: a kind of provider (all its slots), a provider (those that it opens), or the id of one slot.

        What is refused for one journal is refused for all. Raises `MisuseError` (`last_slot`, `slot_in_use`, `no_slot`), and what
        `add_slot` raises.
        """
        if not isinstance(which, str | ProviderKind):
            require_able("which", which, "kind", "key_encryption_key")
        opener = self._folders.keys
        with self._journals() as journals:
            files = [(journal, file) for journal in journals for file in journal.files(opener)]
            going = {id(file): _ids(file, which) for _journal, file in files}
            if not any(going.values()):
                raise MisuseError("no journal of this store has such a slot; nothing was changed.", reason="no_slot")
            changed = [(journal, file, without_slots(file, opener, going[id(file)])) for journal, file in files]
            self._mark(journals, {file_id: ids for file_id, ids in going.items() if ids}, files)
            for journal, file, data in changed:
                _install(journal, file, data)
            count = sum(len(ids) for ids in going.values())
            for kind in sorted(
                {name.provider for _journal, file in files for name in slot_names(file) if name.id in going[id(file)]}
            ):
                self._tell("key-slot-removed", kind, "slots that went", count)
        return count

    def rotate_data_keys(self, others: Sequence[KeyProvider] = ()) -> dict[str, int]:
        """Make a new data key in every journal that is open, and seal with it from now on; returns its generation by journal.

        Each has a slot of the provider that the store is open with, and of `others`; `lacking` names those that are missing then.
        What was sealed before stays readable, by whoever could read it: an older key file goes by itself once nothing names it.
        Do this after `remove_slot`. Backups are signed by another key from then on: note the new `backup_fingerprint`. A crash in between
        leaves some journals with a new key and some without; each is whole.

        Raises like `add_slot`, and what a journal that is closed or open for reading only raises: for the first journal that could not
        be changed, after all others were.
        """
        require("others", others, list, tuple)
        for provider in others:
            require_able("others", provider, "kind", "key_encryption_key")
            require_outside(self._path, provider)
        with self._membership:
            generations, errors = {}, []
            for name, journal in self._opened().items():
                try:
                    generations[name] = journal.rotate_data_key()
                except (StateStoreError, OSError) as error:
                    errors.append(error)
            if generations:
                self._note("data-key-rotated", f"journals that have a new data key: {len(generations)}")
            for provider in others:
                self.add_slot(provider)
        if errors:
            raise errors[0]
        return generations

    def provision_anchor(self) -> int:
        """Set up the anchor that the store was opened with: write the floors of all clusters for its next number, and raise it to that.

        For a new store before its first cluster, and for an anchor that was replaced or cleared, once it is known why. Nothing happens
        where the anchor and the store are in step. Returns the number.

        Raises `MisuseError` for a store that was opened without an anchor, `KeyUnavailable` where it does not answer, and what writing
        raises.
        """
        return self._provision_anchor()

    def _mark(self, journals: list[_Journal], going: Mapping[int, frozenset[str]], files: list[tuple[_Journal, KeyFile]]) -> None:
        """Let the markers name the provider that the store is open with, where the one they name loses its last slot."""
        kind, opened = self._folders.keys.kind, self._opened()
        staying: dict[str, set[ProviderKind]] = {journal.name: set() for journal in journals}
        for journal, file in files:
            staying[journal.name] |= {name.provider for name in slot_names(file) if name.id not in going.get(id(file), ())}
        if self._folders.marked_provider() not in set().union(*staying.values()):
            self._folders.name_provider(kind)
        for journal in journals:
            if read_marker(journal.root).marker.provider not in staying[journal.name] and journal.name in opened:
                opened[journal.name].name_provider(kind)

    def _tell(self, code: str, kind: ProviderKind, what: str, count: int) -> None:
        if count:
            self._note(code, f"provider {kind.name.lower()}, {what}: {count}")

    @contextmanager
    def _journals(self) -> Iterator[list[_Journal]]:
        """All journals, their folders held open, while nobody joins or leaves."""
        with self._membership, ExitStack() as opened:
            self._opened()  # a store that is closed has none
            journals = [_Journal(AGENT, opened.enter_context(self._folders.root.directory(AGENT)), AGENT_KEY_FOLDERS)]
            names = self._folders.names()
            journals += [_Journal(name, opened.enter_context(self._folders.cluster(name)), KEY_FOLDERS) for name in names]
            yield journals


def _opens(file: KeyFile, opener: KeyProvider) -> bool:
    try:
        open_keys(file, opener)
    except KeyUnavailable:
        return False
    return True


def _for_each(journals: list[_Journal], opener: KeyProvider, step: Callable[[_Journal, KeyFile], int]) -> int:
    """Do `step` for every key file; what fails for one journal is raised after the others were done."""
    count, errors = 0, []
    for journal in journals:
        try:
            count += sum(step(journal, file) for file in journal.files(opener))
        except (StateStoreError, OSError) as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return count


def _install(journal: _Journal, file: KeyFile, data: bytes | None) -> int:
    """Write a key file that changed; returns 1 if it did."""
    if data is None:
        return 0
    with no_space_means(journal.name, "key slots"):
        install_key_file(journal.root, journal.folders, file, data)
    return 1


def _ids(file: KeyFile, which: ProviderKind | KeyProvider | str) -> frozenset[str]:
    """Ids of the slots of a file that `which` means."""
    names = slot_names(file)
    if isinstance(which, str):
        return frozenset(name.id for name in names if name.id == which)
    if isinstance(which, ProviderKind):
        return frozenset(name.id for name in names if name.provider is which)
    return slots_of(file, which)
