"""The data keys of a journal over its life: opening all of them, making the next one, and dropping those that nothing names.

Rules this file keeps:

- Order of a rotation: the new key file in both folders, synced; then the marker that names it; then the first segment that uses it.
  A key file that no marker names yet has sealed nothing.
- Every generation that opens is in the ring: what was sealed under an older one stays readable.
- A key file goes when nothing that is kept names its generation, and only where everything that is kept could be asked.

Example::

    ring = open_key_ring(root, ("identity", "trust"), provider, marker)
    ring.generations
"""

from collections.abc import Callable, Iterable, Sequence, Set

from rap_journal.errors import DamageError, KeyTampered, KeyUnavailable, StateStoreError
from rap_journal.filesystem import Directory
from rap_journal.folders import JournalFolders
from rap_journal.inventory import Inventory
from rap_journal.key_files import KeyFile, KeyProvider, make_data_key, make_key_file, open_keys, read_key_file
from rap_journal.layout import MARKER, NEXT, SPARE, keys_name, parse_keys_name, parse_segment_name
from rap_journal.markers import Marker, require_authentic
from rap_journal.sealed_files import install_file, read_sealed_file
from rap_journal.sealing import KeyRing
from rap_journal.witness import WitnessFile


def open_key_ring(root: Directory, key_folders: Sequence[str], provider: KeyProvider, marker: Marker) -> KeyRing:
    """All data keys of a journal, each from whichever copy of its file is whole; the marker is proved to be of who has them.

    An older generation that does not open is left out: what names it says `KeyUnavailable`.
    Raises `KeyUnavailable`, `KeyLost`, `KeyTampered`, or `DamageError` when no copy of the current one is whole.
    """
    name = keys_name(marker.key_generation)
    current = read_whole_copy(root, key_folders, marker.key_generation)
    if current is None:
        raise DamageError(
            f"no copy of {name} in {root.name} is whole: what it sealed cannot be read. Restore the file from a backup.",
            file=name,
            reason="no_key_file",
        )
    ring = KeyRing(marker.journal_id, {marker.key_generation: _open_own(current, provider, marker, name)}, marker.key_generation)
    if current.key_check != marker.key_check:
        raise _foreign(root, name)
    require_authentic(marker, ring, f"{root.name}/{MARKER}")
    for generation in list_generations(root, key_folders) - {marker.key_generation}:
        file = read_whole_copy(root, key_folders, generation)
        if file is not None:
            try:
                ring.add(generation, _open_own(file, provider, marker, keys_name(generation)))
            except KeyUnavailable:
                continue
    return ring


def list_generations(root: Directory, key_folders: Sequence[str]) -> set[int]:
    """Generations of which a key file is there, whole or not."""
    found: set[int] = set()
    for folder_name in key_folders:
        if root.status(folder_name) is not None:
            with root.directory(folder_name) as folder:
                found |= {generation for name in folder.names() if (generation := parse_keys_name(name)) is not None}
    return found


def read_whole_copy(root: Directory, key_folders: Sequence[str], generation: int) -> KeyFile | None:
    """The key file of a generation, from the first folder whose copy is whole and is of that generation; None where none is."""
    copies = read_copies(root, key_folders, generation).values()
    return next((copy for copy in copies if copy is not None), None)


def read_copies(root: Directory, key_folders: Sequence[str], generation: int) -> dict[str, KeyFile | None]:
    """Both copies of a key file, by folder; None for one that is damaged or missing. A folder that is missing has no copy."""
    return {name: _read_copy(root, name, generation) for name in key_folders if root.status(name) is not None}


def make_generation(
    folders: JournalFolders,
    key_folders: Sequence[str],
    provider: KeyProvider,
    journal_id: bytes,
    generation: int,
    randomness: Callable[[int], bytes],
) -> bytes:
    """Make a fresh data key and put its file into both folders, durably; returns the key, which nothing names yet.

    Raises `KeyUnavailable`, `KeyLost`, and `OSError`: then a file that is left over is an orphan.
    """
    data_key = make_data_key(randomness)
    content = make_key_file(provider, journal_id, generation, data_key, randomness)
    for name in key_folders:
        with folders.root.directory(name) as folder:
            install_file(folders.temporary, folder, keys_name(generation), content)
    return data_key


def copies_to_repair(root: Directory, key_folders: Sequence[str]) -> list[tuple[str, KeyFile, str]]:
    """Folders whose copy of a key file is damaged or missing, or is not like the first whole one; each with that one and the reason.

    The first whole copy is the one that opened: where a crash came between the two of a new list of slots, it counts.
    """
    found = []
    for generation in sorted(list_generations(root, key_folders)):
        copies = read_copies(root, key_folders, generation)
        whole = next((copy for copy in copies.values() if copy is not None), None)
        if whole is not None:
            reasons = {
                name: "damaged_copy" if copy is None else "copies_differ" for name, copy in copies.items() if copy != whole
            }
            found += [(name, whole, reason) for name, reason in reasons.items()]
    return found


def drop_unnamed(
    folders: JournalFolders, key_folders: Sequence[str], current: int, inventory: Inventory, witness: WitnessFile
) -> list[int]:
    """Remove the key files of generations that nothing names: orphans of a rotation, and old ones. Returns which. Raises `OSError`.

    Only for an opening: nobody seals anything meanwhile, and `tmp/` means nothing.
    """
    others = list_generations(folders.root, key_folders) - {current}
    unnamed = sorted(_unnamed(folders, inventory, witness, others)) if others else []
    for generation in unnamed:
        for name in key_folders:
            with folders.root.directory(name) as folder:
                if folder.status(keys_name(generation)) is not None:
                    folder.unlink(keys_name(generation))
                    folder.sync()
    return unnamed


def _unnamed(folders: JournalFolders, inventory: Inventory, witness: WitnessFile, candidates: Set[int]) -> set[int]:
    """Those of `candidates` that nothing kept names; none where something that is kept cannot say."""
    left = set(candidates) - {slot.key_generation for slot in witness.slots}
    left -= {file.header.key_generation for file in inventory.chain}
    if folders.missing or witness.bad_slots or any(stray.reason != "foreign" for stray in inventory.strays):
        return set()
    try:
        for generation in _named_by_files(folders) if left else ():
            left.discard(generation)
            if not left:
                break
    except (StateStoreError, OSError):
        return set()
    return left


def _named_by_files(folders: JournalFolders) -> Iterable[int]:
    """Generation of every sealed file; a file that is none, or cannot be read, raises, since it may name any."""
    for folder in (*folders.classes.values(), folders.journal):
        for name in folder.names():
            if parse_keys_name(name) is None and parse_segment_name(name) is None and name not in (SPARE, NEXT):
                yield read_sealed_file(folder, name).header.key_generation


def _open_own(file: KeyFile, provider: KeyProvider, marker: Marker, name: str) -> bytes:
    data_key = open_keys(file, provider)
    if file.journal_id != marker.journal_id:
        del data_key
        raise KeyTampered(f"the key file {name} is another journal's; nothing was opened.", file=name, reason="foreign_key")
    return data_key


def _foreign(root: Directory, name: str) -> KeyTampered:
    return KeyTampered(
        f"the key file {name} in {root.name} is not the one that the marker names; nothing was opened.",
        file=name,
        reason="foreign_key",
    )


def _read_copy(root: Directory, folder_name: str, generation: int) -> KeyFile | None:
    try:
        with root.directory(folder_name) as folder:
            file = read_key_file(folder, keys_name(generation))
    except (DamageError, FileNotFoundError):
        return None
    return file if file.key_generation == generation else None
