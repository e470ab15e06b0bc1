"""Sealed documents: kept as received, found by their file id, and only where they belong."""

import errno
from collections.abc import Iterator

import pytest

from rap_journal.errors import DamageError
from rap_journal.folders import JournalFolders
from rap_journal.layout import document_name, wiping_name
from rap_journal.sealed_store import (
    FILE_ID_BYTES,
    finish_wipes,
    list_documents,
    list_documents_for,
    load_document,
    store_document,
    wipe_document,
)
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


def test_documents_are_listed_by_what_they_are_for(store: Store, folders: JournalFolders) -> None:
    key, certificate = store.store(b"key", IDENTITY, Purpose.IDENTITY), store.store(b"certificate", IDENTITY)
    folders.classes[IDENTITY.number].create(document_name(bytes(16))).close()
    with folders.classes[IDENTITY.number].create(document_name(b"\1" * 16)) as foreign:
        foreign.write_at(0, b"x" * 200)
    assert list_documents_for(folders, IDENTITY, Purpose.IDENTITY) == [key]
    assert list_documents_for(folders, IDENTITY, Purpose.DOCUMENT) == [certificate]


def test_a_wiped_document_loses_its_name_first_and_is_overwritten_and_synced_before_it_goes(
    filesystem: MemoryFileSystem, folders: JournalFolders, store: Store
) -> None:
    """Mutation: without the new name, the overwriting, or any of the syncs."""
    file_id = store.store(SeededRandomness(3)(150_000))
    size = folders.classes[TRUST.number].open(document_name(file_id)).size()
    filesystem.operations.clear()
    wipe_document(folders, TRUST, file_id)
    done = list(filesystem.operations)
    assert [operation.name for operation in done] == [
        "rename", "sync_directory", "write", "write", "write", "sync", "unlink", "sync_directory",
    ]  # fmt: skip
    written = [(operation.offset, operation.length) for operation in done if operation.name == "write"]
    assert written[0][0] == 0 and sum(length for _, length in written) == size
    assert {operation.path.rpartition("/")[2] for operation in done[2:7]} == {wiping_name(file_id)}
    assert list_documents(folders, TRUST) == [] and finish_wipes(folders, TRUST) == 0


@pytest.mark.parametrize("failing", ["write", "sync", "unlink"])
def test_a_wipe_that_was_cut_short_leaves_no_document_and_is_done_again(
    failing: str, filesystem: MemoryFileSystem, folders: JournalFolders, store: Store
) -> None:
    file_id = store.store(b"key", IDENTITY, Purpose.IDENTITY)
    filesystem.fail(failing, "*wiping-*", errno.EIO)
    with pytest.raises(OSError, match="planned"):
        wipe_document(folders, IDENTITY, file_id)
    filesystem.heal()
    assert list_documents_for(folders, IDENTITY, Purpose.IDENTITY) == []
    assert finish_wipes(folders, IDENTITY) == 1
    assert [name for name in folders.classes[IDENTITY.number].names() if "-" in name and not name.startswith("checkpoint")] == []
