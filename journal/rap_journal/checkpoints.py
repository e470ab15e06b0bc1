"""Checkpoints: what every class's projection was at one LSN, a sealed file per class.

Rules this file keeps:

- Each file is valid alone, bound to journal, class, LSN, chain digest, epoch and fold-set version by header, name and seal.
- A checkpoint is only a shortcut: damage to one means an older one and a longer replay. Where none is left and the journal reaches back
  to its first record, the class starts from nothing, as it did at LSN 0.
- One that older folds made is brought up to the present ones where a way is known (`fold_sets`), and passed over elsewhere.
- A new set is read back past the page cache and verified before anything older goes.

Content, deterministic CBOR: ``[strict head of the class / null, node_us, value]``.

Example::

    loaded, bad = load_newest(folders, keys, journal_id, specs, fold_set=FoldSet(1))
    loaded[7].anchor.lsn
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rap_journal.deterministic_cbor import MalformedCbor, decode_own, encode_arrays
from rap_journal.errors import DamageError, StateStoreError
from rap_journal.filesystem import Directory
from rap_journal.fold_sets import FoldSet
from rap_journal.folders import JournalFolders
from rap_journal.format import SALT_BYTES
from rap_journal.layout import checkpoint_name, parse_checkpoint_name
from rap_journal.payload import StrictHead
from rap_journal.sealed_files import SealedFile, SealedHeader, encode_sealed_file, install_file, read_sealed_file, unseal_file
from rap_journal.sealing import KeyRing, Purpose, SealBroken
from rap_journal.values import ClassSpec


class Anchor(NamedTuple):
    """The place in the journal a checkpoint stands for: LSN, and epoch and digest of the frame that ends there."""

    lsn: int
    epoch: int
    digest: bytes


EMPTY_ANCHOR = Anchor(0, 0, bytes(16))


class ClassContent(NamedTuple):
    """One class's content: the head of its strict chain, node time, and the projection as a CBOR value; None for an empty one."""

    head: StrictHead
    node_us: int
    value: Any


class LoadedCheckpoint(NamedTuple):
    """A checkpoint of one class, verified."""

    anchor: Anchor
    content: ClassContent


START = LoadedCheckpoint(EMPTY_ANCHOR, ClassContent(StrictHead(), 0, None))
"""What a checkpoint at LSN 0 says, whatever the class and its folds: nothing was folded yet. It stands in for one that is not there."""


class BadCheckpoint(NamedTuple):
    """A checkpoint that could not be used, and why.

    Attributes:
        file: its name, relative to the journal's folder; that of the class's folder where it holds none at all.
        state_class: name of the class.
        reason: stable word.
        is_damaged: whether its bytes are not those that were written; a later release, other folds or the disk may stand in the way, too.
    """

    file: str
    state_class: str
    reason: str
    is_damaged: bool = False


def encode_checkpoint(
    spec: ClassSpec, anchor: Anchor, content: ClassContent, *, journal_id: bytes, fold_version: int, keys: KeyRing, salt: bytes
) -> bytes:
    """The bytes of a checkpoint file; `fold_version`: version of the folds of its class."""
    body = encode_arrays([list(content.head) if content.head.lsn else None, content.node_us, content.value])
    header = SealedHeader(Purpose.CHECKPOINT, spec.number, journal_id, anchor.lsn, anchor.epoch, anchor.digest, fold_version)
    return encode_sealed_file(checkpoint_name(anchor.lsn), header, body, keys, salt)


def write_set(
    folders: JournalFolders,
    specs: Sequence[ClassSpec],
    anchor: Anchor,
    contents: Mapping[int, ClassContent],
    *,
    journal_id: bytes,
    fold_set: FoldSet,
    keys: KeyRing,
    randomness: Callable[[int], bytes],
) -> int:
    """Write, sync, read back and verify the checkpoint of every class at one LSN; returns the bytes written.

    A class whose folder is missing is damaged; it is passed over, so that the others have their checkpoint.
    """
    total = 0
    for spec in specs:
        if spec.number not in folders.classes:
            continue
        data = encode_checkpoint(
            spec, anchor, contents[spec.number], journal_id=journal_id, fold_version=fold_set.version_of(spec.number), keys=keys,
            salt=randomness(SALT_BYTES),
        )  # fmt: skip
        folder = folders.classes[spec.number]
        install_file(folders.temporary, folder, checkpoint_name(anchor.lsn), data)
        _verify_on_disk(folder, checkpoint_name(anchor.lsn), data)
        total += len(data)
    return total


def list_checkpoints(folder: Directory) -> list[int]:
    """LSNs of the checkpoints in a class folder, oldest first."""
    return sorted(lsn for name in folder.names() if (lsn := parse_checkpoint_name(name)) is not None)


def load_newest(
    folders: JournalFolders,
    keys: KeyRing,
    journal_id: bytes,
    specs: Sequence[ClassSpec],
    *,
    fold_set: FoldSet,
    lsn_max: int | None = None,
    reaches_back: bool = False,
) -> tuple[dict[int, LoadedCheckpoint], list[BadCheckpoint]]:
    """The newest usable checkpoint of every class (not above `lsn_max`), by class number, and those that could not be used.

    `reaches_back`: whether the journal still holds its first record, so that `START` serves a class that has no other.
    """
    loaded: dict[int, LoadedCheckpoint] = {}
    bad: list[BadCheckpoint] = []
    for spec in specs:
        folder = folders.classes.get(spec.number)
        listed = list_checkpoints(folder) if folder is not None else []
        for lsn in reversed(listed):
            if lsn_max is not None and lsn > lsn_max:
                continue
            try:
                assert folder is not None
                loaded[spec.number] = load_checkpoint(folder, spec, lsn, keys, journal_id, fold_set=fold_set)
                break
            except (StateStoreError, OSError) as error:
                bad.append(_bad(spec, lsn, error))
        if folder is not None and not listed:
            bad.append(BadCheckpoint(spec.name, spec.name, "no_checkpoint"))
        if reaches_back:
            loaded.setdefault(spec.number, START)
    return loaded, bad


def load_checkpoint(
    folder: Directory, spec: ClassSpec, lsn: int, keys: KeyRing, journal_id: bytes, *, fold_set: FoldSet
) -> LoadedCheckpoint:
    """Read and unseal one checkpoint; its value is as the present folds have it.

    Raises `DamageError`, also where other folds made it and no way leads from those to these; `SealBroken`, `FormatTooNew`, `OSError`.
    """
    file = read_sealed_file(folder, checkpoint_name(lsn))
    header = file.header
    if (header.purpose, header.state_class, header.journal_id, header.lsn) != (Purpose.CHECKPOINT, spec.number, journal_id, lsn):
        raise DamageError(
            f"{spec.name}/{file.name} is another file than its name says; it was left alone.", file=file.name, reason="foreign"
        )
    content = _decode_content(file, keys)
    if lsn == 0 and header.fold_set != fold_set.version_of(spec.number):
        # Nothing was folded yet: whatever the folds, the class is empty.
        value = None
    else:
        value = fold_set.brought_up(spec.number, header.fold_set, content.value)
    return LoadedCheckpoint(Anchor(lsn, header.epoch, header.chain_digest), content._replace(value=value))


def is_set_known_at(folders: JournalFolders, specs: Sequence[ClassSpec], lsn: int, *, fold_set: FoldSet, level: int) -> bool:
    """Whether a release that knows format levels up to `level` could go on from the set at `lsn`. Raises `DamageError`, `OSError`."""
    headers = [
        read_sealed_file(folders.classes[spec.number], checkpoint_name(lsn)).header
        for spec in specs
        if spec.number in folders.classes and folders.classes[spec.number].status(checkpoint_name(lsn)) is not None
    ]
    return lsn == 0 or all(fold_set.is_known_at(level, header.fold_set) for header in headers)


def _bad(spec: ClassSpec, lsn: int, error: StateStoreError | OSError) -> BadCheckpoint:
    reason = (error.reason or "damaged") if isinstance(error, StateStoreError) else "unreadable"
    is_damaged = isinstance(error, DamageError | SealBroken) and reason != "other_folds"
    return BadCheckpoint(f"{spec.name}/{checkpoint_name(lsn)}", spec.name, reason, is_damaged)


def _decode_content(file: SealedFile, keys: KeyRing) -> ClassContent:
    content = unseal_file(file, keys)
    try:
        head, node_us, value = decode_own(content)
        return ClassContent(StrictHead(*head) if head else StrictHead(), node_us, value)
    except (MalformedCbor, ValueError, TypeError) as error:
        raise DamageError(
            f"{file.name} unseals to something that is no checkpoint; it was passed over.", file=file.name, reason="bad_content"
        ) from error


def _verify_on_disk(folder: Directory, name: str, data: bytes) -> None:
    with folder.open(name) as file:
        file.forget_cache()
        if file.read_at(0, len(data) + 1) != data:
            raise DamageError(
                f"{file.name} reads back differently than it was written; it is not used.", file=file.name, reason="read_back"
            )
