"""Sealed documents: kept as received, found by their file id, and only where they belong."""

import errno
from collections.abc import Iterator

import pytest

from rap_journal.errors import DamageError
from rap_journal.folders import JournalFolders
from rap_journal.layout import document_name
from rap_journal.sealed_store import FILE_ID_BYTES, list_documents, load_document, store_document
from rap_journal.sealing import KeyRing, Purpose, SealBroken
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from rap_journal.values import ClassSpec
from tests.journal.workbench import IDENTITY, JOURNAL_ID, PATH, SPECS, TRUST

RING = KeyRing(JOURNAL_ID, {1: b"k" * 32}, 1)


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    return MemoryFileSystem()


@pytest.fixture
def folders(filesystem: MemoryFileSystem) -> Iterator[JournalFolders]:
    root = filesystem.open_root(PATH, create=True)
    folders = JournalFolders.create(root, SPECS)
    root.sync()
    yield folders
    folders.close()


class Store:
    """Storing and loading with the fixed parts filled in."""

    def __init__(self, folders: JournalFolders) -> None:
        self.folders = folders
        self.randomness = SeededRandomness(1)

    def store(self, content: bytes, spec: ClassSpec = TRUST, purpose: Purpose = Purpose.DOCUMENT) -> bytes:
        return store_document(
            self.folders, spec, content, journal_id=JOURNAL_ID, keys=RING, randomness=self.randomness, purpose=purpose
        )

    def load(self, file_id: bytes, spec: ClassSpec = TRUST, purpose: Purpose = Purpose.DOCUMENT) -> bytes:
        return load_document(self.folders, spec, file_id, journal_id=JOURNAL_ID, keys=RING, purpose=purpose)


@pytest.fixture
def store(folders: JournalFolders) -> Store:
    return Store(folders)


@pytest.mark.parametrize(
    "content", [b"", b"x", bytes(100_000), SeededRandomness(2)(5000)], ids=["empty", "byte", "zeros", "noise"]
)
def test_a_document_comes_back_byte_for_byte(store: Store, content: bytes) -> None:
    file_id = store.store(content)
    assert len(file_id) == FILE_ID_BYTES
    assert store.load(file_id) == content


def test_a_document_is_durable_on_return(filesystem: MemoryFileSystem, store: Store) -> None:
    file_id = store.store(b"content")
    left = Store(JournalFolders.open(filesystem.crash().open_root(PATH), SPECS, may_repair=False))
    assert left.load(file_id) == b"content"


def test_the_same_content_stored_twice_is_two_files(store: Store) -> None:
    first, second = store.store(b"content"), store.store(b"content")
    assert first != second
    assert sorted(list_documents(store.folders, TRUST)) == sorted([first, second])
    assert list_documents(store.folders, IDENTITY) == []


def test_other_files_in_the_folder_are_no_documents(store: Store) -> None:
    store.folders.classes[TRUST.number].create("document-of-somebody").close()
    assert list_documents(store.folders, TRUST) == []


def test_a_missing_document_is_not_found(store: Store) -> None:
    with pytest.raises(FileNotFoundError):
        store.load(bytes(16))


def test_a_document_moved_to_another_class_is_foreign(store: Store) -> None:
    file_id = store.store(b"content")
    name = document_name(file_id)
    store.folders.classes[TRUST.number].rename(name, name, store.folders.classes[IDENTITY.number])
    with pytest.raises(DamageError) as caught:
        store.load(file_id, IDENTITY)
    assert caught.value.reason == "foreign"


def test_a_document_under_the_name_of_another_is_foreign(store: Store) -> None:
    first, second = store.store(b"first"), store.store(b"second")
    store.folders.classes[TRUST.number].rename(document_name(first), document_name(second))
    with pytest.raises(DamageError) as caught:
        store.load(second)
    assert caught.value.reason == "foreign"


def test_a_key_is_not_read_as_a_document(store: Store) -> None:
    file_id = store.store(b"private key", IDENTITY, Purpose.IDENTITY)
    assert store.load(file_id, IDENTITY, Purpose.IDENTITY) == b"private key"
    with pytest.raises(DamageError):
        store.load(file_id, IDENTITY)


def test_a_document_of_another_journal_is_foreign_and_with_another_key_tampered_with(store: Store) -> None:
    file_id = store.store(b"content")
    with pytest.raises(DamageError):
        load_document(store.folders, TRUST, file_id, journal_id=b"another-journal.", keys=RING)
    with pytest.raises(SealBroken):
        load_document(store.folders, TRUST, file_id, journal_id=JOURNAL_ID, keys=KeyRing(JOURNAL_ID, {1: b"x" * 32}, 1))


def test_a_full_disk_leaves_no_document(filesystem: MemoryFileSystem, store: Store) -> None:
    filesystem.fail("write", "tmp/*", errno.ENOSPC)
    with pytest.raises(OSError, match="planned"):
        store.store(b"content")
    assert list_documents(store.folders, TRUST) == []
