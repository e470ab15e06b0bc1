"""Sealed documents in class folders: kept as received, found by file id.

Rules this file keeps:

- A document is on disk and synced before the frame that names it; its name is the first half of its salt.
- What is wiped takes a name first that no reader opens, durably; then it is overwritten and synced, and then the name goes. So no
  crash leaves a document half overwritten, and a wipe that one cut short is known for what it is.
- Overwriting reaches the blocks of file systems that write in place; no program can promise more of a disk.

Example::

    file_id = store_document(folders, spec, content, journal_id=..., keys=..., randomness=...)
    content = load_document(folders, spec, file_id, journal_id=..., keys=...)
"""

from collections.abc import Callable

from rap_journal.errors import DamageError
from rap_journal.filesystem import Directory
from rap_journal.folders import JournalFolders
from rap_journal.format import SALT_BYTES
from rap_journal.layout import document_name, parse_document_name, parse_wiping_name, wiping_name
from rap_journal.sealed_files import (
    SealedHeader,
    encode_sealed_file,
    install_file,
    read_purpose,
    read_sealed_file,
    salt_of,
    unseal_file,
)
from rap_journal.sealing import KeyRing, Purpose
from rap_journal.values import ClassSpec

FILE_ID_BYTES = 16

_WIPE_BYTES = 1 << 16
"""How much is overwritten at a time."""


def store_document(
    folders: JournalFolders, spec: ClassSpec, content: bytes, *, journal_id: bytes, keys: KeyRing, randomness: Callable[[int], bytes],
    purpose: Purpose = Purpose.DOCUMENT, again: bytes | None = None,
) -> bytes:  # fmt: skip
    """Seal `content` into a new file of the class, durable on return, and return its file id. Raises `OSError`.

    `again`: the file id of a document that is lost or damaged, and takes the same name again. The other half of its salt is fresh, and
    with it the key, so that nothing is sealed twice under one key.
    """
    salt = (again or b"") + randomness(SALT_BYTES - len(again or b""))
    name = document_name(salt[:FILE_ID_BYTES])
    data = encode_sealed_file(name, SealedHeader(purpose, spec.number, journal_id), content, keys, salt)
    install_file(folders.temporary, folders.classes[spec.number], name, data)
    return salt[:FILE_ID_BYTES]


def load_document(
    folders: JournalFolders,
    spec: ClassSpec,
    file_id: bytes,
    *,
    journal_id: bytes,
    keys: KeyRing,
    purpose: Purpose = Purpose.DOCUMENT,
) -> bytes:
    """The content of a document. Raises `FileNotFoundError`, `DamageError`, or `SealBroken` when it was tampered with or moved."""
    name = document_name(file_id)
    folder = folders.classes.get(spec.number)
    if folder is None:
        raise DamageError(
            f"the folder {spec.name} is missing, and {name} with it; nothing was read.", file=spec.name, reason="missing_folder"
        )
    file = read_sealed_file(folder, name)
    header = file.header
    if (header.purpose, header.state_class, header.journal_id) != (purpose, spec.number, journal_id) or salt_of(file)[
        :FILE_ID_BYTES
    ] != file_id:
        raise DamageError(
            f"{spec.name}/{name} is another file than its name says; it was left alone.", file=name, reason="foreign"
        )
    return unseal_file(file, keys)


def list_documents(folders: JournalFolders, spec: ClassSpec) -> list[bytes]:
    """File ids of all documents of a class."""
    return [file_id for name in folders.classes[spec.number].names() if (file_id := parse_document_name(name)) is not None]


def list_documents_for(folders: JournalFolders, spec: ClassSpec, purpose: Purpose) -> list[bytes]:
    """File ids of the documents of a class whose header says they are for `purpose`. No digest is checked. Raises `OSError`."""
    folder = folders.classes[spec.number]
    return [file_id for file_id in list_documents(folders, spec) if read_purpose(folder, document_name(file_id)) is purpose]


def wipe_document(folders: JournalFolders, spec: ClassSpec, file_id: bytes) -> None:
    """Overwrite a document with zeros, durably, and remove it, durably. Raises `FileNotFoundError`, `OSError`."""
    folder = folders.classes[spec.number]
    folder.rename(document_name(file_id), wiping_name(file_id))
    folder.sync()
    _wipe(folder, wiping_name(file_id))


def finish_wipes(folders: JournalFolders, spec: ClassSpec) -> int:
    """Do again the wipes of a class that a crash or an error cut short; returns how many there were. Raises `OSError`."""
    folder = folders.classes[spec.number]
    begun = [name for name in folder.names() if parse_wiping_name(name) is not None]
    for name in begun:
        _wipe(folder, name)
    return len(begun)


def _wipe(folder: Directory, name: str) -> None:
    with folder.open(name, writable=True) as file:
        size = file.size()
        for offset in range(0, size, _WIPE_BYTES):
            file.write_at(offset, bytes(min(_WIPE_BYTES, size - offset)))
        file.sync()
    folder.unlink(name)
    folder.sync()
