"""The slots of a journal's key files: who can open them, one more, one less.

Rules this file keeps:

- Whoever changes the list opens it first: a list that the data key does not vouch for is never built on.
- A slot is added beside the others and never in place of one; the last one, and the one by which the list was opened, stay.
- The first folder's copy is written before the second's, each atomically. Where a crash leaves them different, the first one counts,
  and the next opening makes the second like it (`repair`): the change is there or not there, and can be asked for again.
- Every generation of the data key that still has a file gets the same slots.

Example::

    for file in read_key_files(root, ("identity", "trust")):
        data = with_slot(file, opener, provider, randomness)
        if data is not None:
            install_key_file(root, ("identity", "trust"), file, data)
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rap_journal.errors import DamageError, MisuseError
from rap_journal.filesystem import Directory
from rap_journal.format import KEYS_SLOT_COUNT_MAX
from rap_journal.key_files import (
    KeyFile,
    KeyProvider,
    KeySlot,
    check_slots,
    key_in_slot,
    make_slot,
    open_keys,
    seal_slots,
)
from rap_journal.key_generations import list_generations, read_whole_copy
from rap_journal.layout import TEMPORARY, keys_name
from rap_journal.markers import ProviderKind
from rap_journal.sealed_files import install_file

_ID_BYTES = 8


class SlotName(NamedTuple):
    """What may be told of a slot without a key.

    Attributes:
        provider: kind of provider that opens it.
        id: 16 hex digits that tell it from every other slot.
        generation: generation of the data key that it wraps.
    """

    provider: ProviderKind
    id: str
    generation: int


def slot_id(slot: KeySlot) -> str:
    """What a slot is called: the beginning of its salt, which is random and no secret."""
    return slot.salt[:_ID_BYTES].hex()


def slot_names(file: KeyFile) -> tuple[SlotName, ...]:
    """The slots of a file, in their order. Raises `KeyTampered` for one outside its bounds."""
    check_slots(file)
    return tuple(SlotName(slot.provider, slot_id(slot), file.key_generation) for slot in file.slots)


def read_key_files(root: Directory, key_folders: Sequence[str]) -> tuple[KeyFile, ...]:
    """The key files of a journal, the first whole copy of each, by generation. Raises `DamageError` when one has none, `FormatTooNew`."""
    return tuple(_first_whole(root, key_folders, generation) for generation in sorted(list_generations(root, key_folders)))


def with_slot(file: KeyFile, opener: KeyProvider, provider: KeyProvider, randomness: Callable[[int], bytes]) -> bytes | None:
    """The bytes of `file` with one slot more, for `provider`; None where it opens a slot already.

    Raises what `open_keys` raises for `opener`, what `provider` raises, and `MisuseError` where all places are taken.
    """
    data_key = open_keys(file, opener)
    if slots_of(file, provider):
        return None
    if len(file.slots) == KEYS_SLOT_COUNT_MAX:
        del data_key
        raise MisuseError(
            f"the key file has {KEYS_SLOT_COUNT_MAX} slots, and none is replaced unasked; nothing was changed. Remove one first.",
            reason="slots_full",
        )
    slot = make_slot(provider, file.journal_id, file.key_generation, data_key, randomness)
    return seal_slots(file.journal_id, file.key_generation, data_key, (*file.slots, slot))


def without_slots(file: KeyFile, opener: KeyProvider, ids: frozenset[str]) -> bytes | None:
    """The bytes of `file` without the slots of these ids; None where it has none of them.

    Raises what `open_keys` raises for `opener`, and `MisuseError` where no slot of the opener would be left: neither the last slot
    nor the way in that is in use goes.
    """
    data_key = open_keys(file, opener)
    kept = [slot for slot in file.slots if slot_id(slot) not in ids]
    if len(kept) == len(file.slots):
        return None
    if not kept:
        del data_key
        raise MisuseError(
            "a journal's last key slot cannot be removed; nothing was changed. Add another first.", reason="last_slot"
        )
    if not ids.isdisjoint(slots_of(file, opener)) and not any(
        key_in_slot(file, slot, opener) for slot in kept if slot.provider == opener.kind
    ):
        del data_key
        raise MisuseError(
            "this slot is the one by which the store is open; nothing was changed. Open the store by another slot, then remove this one.",
            reason="slot_in_use",
        )
    return seal_slots(file.journal_id, file.key_generation, data_key, kept)


def slots_of(file: KeyFile, provider: KeyProvider) -> frozenset[str]:
    """Ids of the slots that `provider` opens. Raises `KeyTampered`, and what the provider raises."""
    check_slots(file)
    return frozenset(
        slot_id(slot) for slot in file.slots if slot.provider == provider.kind and key_in_slot(file, slot, provider) is not None
    )


def install_key_file(root: Directory, key_folders: Sequence[str], file: KeyFile, data: bytes) -> None:
    """Put `data` in the place of `file`, in all its folders, durably. Raises `OSError`; what stood there counts until it returns."""
    with root.directory(TEMPORARY) as temporary:
        for folder_name in key_folders:
            with root.directory(folder_name) as folder:
                install_file(temporary, folder, keys_name(file.key_generation), data)


def _first_whole(root: Directory, key_folders: Sequence[str], generation: int) -> KeyFile:
    file = read_whole_copy(root, key_folders, generation)
    if file is None:
        name = keys_name(generation)
        raise DamageError(
            f"no copy of {name} in {root.name} is whole; nothing was changed. Restore the file from a backup.",
            file=name,
            reason="no_key_file",
        )
    return file
