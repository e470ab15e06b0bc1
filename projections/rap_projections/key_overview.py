"""The key files of a journal as they may be shown: generations, slots, which of them a key opens, and what lacks a slot.

Rules this file keeps:

- Nothing is changed and no lock is taken: it may be read beside a live writer, which replaces a file whole.
- No key, wrapped or not, and no salt is in what is returned: a slot is told by the beginning of its salt, which opens nothing.
- Of each generation the first whole copy counts, as at an opening; what is wrong with a copy is told.
- Whether the list of slots is the one that was sealed, only a key that opens one of them can tell.

Example::

    seen = read_journal_keys(root.directory("agent"), "agent", AGENT_KEY_FOLDERS, provider)
    lacking(slots_seen([seen]))
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rap_journal.errors import FormatTooNew, KeyLost, KeyTampered, KeyUnavailable, StateStoreError
from rap_journal.filesystem import Directory
from rap_journal.key_files import KeyFile, KeyProvider
from rap_journal.key_generations import list_generations, read_copies
from rap_journal.key_slots import slot_names, slots_of
from rap_journal.markers import ProviderKind, read_marker


class SlotSeen(NamedTuple):
    """One way into one generation of a journal's data key.

    Attributes:
        provider: kind of provider that opens it.
        id: 16 hex digits that tell it from every other slot.
        opens: whether the given key opens it; None where none was given, or it was not to be had.
    """

    provider: ProviderKind
    id: str
    opens: bool | None


class GenerationSeen(NamedTuple):
    """One generation of a journal's data key.

    Attributes:
        number: its number, from 1.
        is_current: whether new segments and files are sealed with it; older ones open what was sealed before.
        copies: what each folder has: "whole", "damaged" (or missing), or "differs" from the first whole one.
        slots: its slots, in their order; none where no copy is whole.
        is_authentic: whether the list of slots is the one that was sealed; None where no key could tell.
    """

    number: int
    is_current: bool
    copies: Mapping[str, str]
    slots: tuple[SlotSeen, ...]
    is_authentic: bool | None


class JournalKeys(NamedTuple):
    """The keys of one journal.

    Attributes:
        journal: cluster id, or "agent".
        provider: the kind of provider that its marker names; None where the marker cannot be read.
        generations: its generations, oldest first.
        problem: what kept something from being read, or the given key from opening the current generation; None where nothing did.
    """

    journal: str
    provider: ProviderKind | None
    generations: tuple[GenerationSeen, ...]
    problem: StateStoreError | OSError | None

    @property
    def damaged_copies(self) -> tuple[str, ...]:
        """Folder and generation of every copy that is not whole."""
        return tuple(
            f"{folder}/{generation.number}"
            for generation in self.generations
            for folder, word in generation.copies.items()
            if word == DAMAGED
        )


WHOLE, DAMAGED, DIFFERS = "whole", "damaged", "differs"
"""What a copy of a key file can be."""


def read_journal_keys(root: Directory, journal: str, key_folders: Sequence[str], opener: KeyProvider | None) -> JournalKeys:
    """The keys of the journal in `root`. Raises nothing about what is stored: that is in `problem`."""
    found: list[GenerationSeen] = []
    provider: ProviderKind | None = None
    problem: StateStoreError | OSError | None = None
    try:
        marker = read_marker(root).marker
        provider = marker.provider
        numbers = sorted(list_generations(root, key_folders) | {marker.key_generation})
        for number in numbers:
            is_current = number == marker.key_generation
            seen, trouble = _generation(root, key_folders, number, opener, is_current=is_current)
            found.append(seen)
            # An older generation that does not open leaves only what it sealed unread.
            if trouble is not None and (is_current or isinstance(trouble, KeyTampered | FormatTooNew)):
                problem = problem or trouble
    except (StateStoreError, OSError) as error:
        problem = error
    return JournalKeys(journal, provider, tuple(found), problem)


def lacking(slots: Iterable[tuple[str, int, ProviderKind]]) -> dict[str, tuple[ProviderKind, ...]]:
    """Journals with a key file that has fewer slots of a kind than another one; `slots`: journal, generation and kind of each.

    Two keys of one kind cannot be told apart without them, so slots are counted: each that is missing is named once.
    """
    kinds: dict[tuple[str, int], Counter[ProviderKind]] = {}
    for journal, generation, kind in slots:
        kinds.setdefault((journal, generation), Counter())[kind] += 1
    everywhere: Counter[ProviderKind] = Counter()
    for there in kinds.values():
        everywhere |= there
    missing: dict[str, Counter[ProviderKind]] = {}
    for (name, _generation), there in kinds.items():
        missing[name] = missing.get(name, Counter()) | (everywhere - there)
    return {name: tuple(sorted(less.elements())) for name, less in missing.items() if less}


def slots_seen(journals: Iterable[JournalKeys]) -> list[tuple[str, int, ProviderKind]]:
    """Journal, generation and kind of every slot, as `lacking` takes them."""
    return [
        (keys.journal, generation.number, slot.provider)
        for keys in journals
        for generation in keys.generations
        for slot in generation.slots
    ]


def _generation(
    root: Directory, key_folders: Sequence[str], number: int, opener: KeyProvider | None, *, is_current: bool
) -> tuple[GenerationSeen, StateStoreError | None]:
    copies = read_copies(root, key_folders, number)
    first = next((copy for copy in copies.values() if copy is not None), None)
    words = {name: _word(copies.get(name), first) for name in key_folders}
    if first is None:
        return GenerationSeen(number, is_current, words, (), None), None
    opened, trouble = _opened(first, opener)
    try:
        slots = [SlotSeen(name.provider, name.id, None if opened is None else name.id in opened) for name in slot_names(first)]
    except KeyTampered as error:
        return GenerationSeen(number, is_current, words, (), False), error
    is_authentic = False if isinstance(trouble, KeyTampered) else True if opened else None
    return GenerationSeen(number, is_current, words, tuple(slots), is_authentic), trouble


def _opened(file: KeyFile, opener: KeyProvider | None) -> tuple[frozenset[str] | None, StateStoreError | None]:
    """Ids of the slots that the given key opens, None where that is not known, and what was in the way."""
    if opener is None:
        return None, None
    try:
        opened = slots_of(file, opener)
    except (KeyUnavailable, KeyLost, KeyTampered) as error:
        return None, error
    if opened:
        return opened, None
    kind = opener.kind.name.lower()
    return opened, KeyUnavailable(f"the given key, of provider {kind}, opens no slot; nothing was opened.", reason="wrong_key")


def _word(copy: KeyFile | None, first: KeyFile | None) -> str:
    if copy is None:
        return DAMAGED
    return WHOLE if copy == first else DIFFERS
