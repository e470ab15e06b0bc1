"""Sealed documents in class folders: kept as received, found by file id.

Rules this file keeps: a document is on disk and synced before the frame that names it; its name is the first half of its salt.

Example::

    file_id = store_document(folders, spec, content, journal_id=..., keys=..., randomness=...)
    content = load_document(folders, spec, file_id, journal_id=..., keys=...)
"""

from collections.abc import Callable

from rap_journal.errors import DamageError
from rap_journal.folders import JournalFolders
from rap_journal.format import SALT_BYTES
from rap_journal.layout import document_name, parse_document_name
from rap_journal.sealed_files import SealedHeader, encode_sealed_file, install_file, read_sealed_file, salt_of, unseal_file
from rap_journal.sealing import KeyRing, Purpose
from rap_journal.values import ClassSpec

FILE_ID_BYTES = 16


def store_document(
    folders: JournalFolders, spec: ClassSpec, content: bytes, *, journal_id: bytes, keys: KeyRing, randomness: Callable[[int], bytes],
    purpose: Purpose = Purpose.DOCUMENT,
) -> bytes:  # fmt: skip
    """Seal `content` into a new file of the class, durable on return, and return its file id. Raises `OSError`."""
    salt = randomness(SALT_BYTES)
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
    file = read_sealed_file(folders.classes[spec.number], name)
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
