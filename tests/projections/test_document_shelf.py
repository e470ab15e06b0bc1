"""Documents by content id: from their file, from the copy in the event where the file is lost, and parsed once."""

from collections.abc import Callable

import pytest

from rap_journal.errors import DamageError, NoSpace
from rap_journal.limits import INLINE_DOCUMENT_BYTES_MAX
from rap_journal.sealing import SealBroken
from rap_journal.values import ClassSpec
from rap_projections.document_shelf import PARSED_MAX, DocumentShelf, parse_snapshot
from rap_projections.documents import Scope
from rap_projections.event_kinds import SNAPSHOTS, UPDATES
from rap_projections.snapshots import SnapshotsView
from rap_projections.stored_document import StoredDocument
from rap_projections.testing import Fabric
from tests.projections.store_kit import FOLDER, destroy, files, ready, written

LARGE = bytes(INLINE_DOCUMENT_BYTES_MAX + 1)
SMALL = bytes(INLINE_DOCUMENT_BYTES_MAX)


class Files:
    """Files in memory, which count how often they were read, and fail when told to."""

    def __init__(self) -> None:
        self.contents: dict[bytes, bytes] = {}
        self.failure: Exception | None = None
        self.loads = 0

    def store(self, spec: ClassSpec, content: bytes) -> bytes:
        """Keep `content`."""
        if self.failure:
            raise self.failure
        file_id = len(self.contents).to_bytes(16)
        self.contents[file_id] = content
        return file_id

    def load(self, spec: ClassSpec, file_id: bytes) -> bytes:
        """The content of a file."""
        self.loads += 1
        if self.failure:
            raise self.failure
        if file_id not in self.contents:
            raise FileNotFoundError(file_id.hex())
        return self.contents[file_id]


def shelf_of(files: Files) -> DocumentShelf:
    """A shelf over `files`, of a cluster without a snapshot."""
    return DocumentShelf(files, SnapshotsView)


@pytest.mark.parametrize(("content", "inline"), [(b"", b""), (b"doc", b"doc"), (SMALL, SMALL), (LARGE, b"")])
def test_what_is_stored_is_loaded_and_small_documents_ride_along(content: bytes, inline: bytes) -> None:
    files = Files()
    stored = shelf_of(files).store(UPDATES, content)
    assert stored == StoredDocument(bytes(16), len(content), inline)
    assert shelf_of(files).load(UPDATES, stored) == content


def test_on_a_full_disk_a_small_document_is_in_its_event_alone() -> None:
    files = Files()
    files.failure = NoSpace("full")
    stored = shelf_of(files).store(SNAPSHOTS, SMALL)
    assert stored == StoredDocument(b"", len(SMALL), SMALL)
    assert (shelf_of(files).load(SNAPSHOTS, stored), files.loads) == (SMALL, 0)


def test_on_a_full_disk_a_large_document_is_refused() -> None:
    files = Files()
    files.failure = NoSpace("full")
    with pytest.raises(NoSpace) as caught:
        shelf_of(files).store(SNAPSHOTS, LARGE)
    assert caught.value is files.failure


FAILURES: dict[str, Callable[[], Exception]] = {
    "gone": lambda: FileNotFoundError("gone"),
    "damaged": lambda: DamageError("damaged"),
    "of another key": lambda: SealBroken("broken"),
    "unreadable": lambda: OSError(5, "input/output error"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_lost_file_is_served_from_the_copy_in_the_event_where_there_is_one(failure: str) -> None:
    files = Files()
    shelf = shelf_of(files)
    small, large = shelf.store(UPDATES, b"doc"), shelf.store(UPDATES, LARGE)
    files.failure = FAILURES[failure]()
    assert shelf.load(UPDATES, small) == b"doc"
    for lost in (large, small.without_inline()):
        with pytest.raises(DamageError, match="cannot be read; fetch it again") as caught:
            shelf.load(UPDATES, lost)
        assert (caught.value.reason, caught.value.state_class) == ("document_lost", "updates")
        assert caught.value.__cause__ is files.failure


def test_a_document_that_is_nowhere_is_lost() -> None:
    with pytest.raises(DamageError, match="is nowhere; fetch it again") as caught:
        shelf_of(Files()).load(UPDATES, StoredDocument(b"", 3, b""))
    assert caught.value.reason == "document_lost"
    assert shelf_of(Files()).load(UPDATES, StoredDocument(b"", 0, b"")) == b""


def test_a_content_id_that_no_activation_brought_is_damage() -> None:
    shelf = shelf_of(Files())
    for call in (shelf.snapshot, shelf.documents):
        with pytest.raises(DamageError) as caught:
            call(b"unknown")
        assert caught.value.reason == "unknown_document"


def test_active_and_previous_documents_are_found_as_received() -> None:
    it = ready()
    documents = [it.fabric.peers([name]) for name in ("node-1", "node-2")]
    for document in documents:
        it.cluster.activate(document)
    it.kit.filesystem = it.kit.filesystem.crash(None)
    it.kit.open()
    shelf = it.cluster._core.shelf
    for document in documents:
        content_id = it.fabric.content_id(document)
        assert shelf.documents(content_id) == (document,)
        assert shelf.snapshot(content_id) == parse_snapshot(document)


def test_records_of_activations_tell_where_documents_are_before_the_state_does() -> None:
    it = ready()
    document = it.fabric.peers(["node-1"])
    it.cluster.activate(document)
    shelf = DocumentShelf(Files(), SnapshotsView)
    shelf.note(written(it))
    assert shelf.snapshot(it.fabric.content_id(document)) == parse_snapshot(document)


def test_only_the_newest_activations_are_remembered() -> None:
    it = ready()
    documents = [it.fabric.peers([f"node-{number}"]) for number in range(PARSED_MAX + 1)]
    for document in documents:
        it.cluster.activate(document)
    shelf = shelf_of(Files())
    shelf.note(written(it))
    content_ids = [it.fabric.content_id(document) for document in documents]
    assert [shelf.documents(content_id) for content_id in content_ids[1:]] == [(document,) for document in documents[1:]]
    with pytest.raises(DamageError):
        shelf.documents(content_ids[0])


def test_a_document_is_parsed_once_and_the_oldest_parsed_gives_way() -> None:
    fabric, shelf = Fabric("lab"), shelf_of(Files())
    payload = parse_snapshot(fabric.peers(["node-1"]))
    for number in range(PARSED_MAX + 1):
        shelf.remember(bytes([number]), payload)
    assert all(shelf.snapshot(bytes([number])) is payload for number in range(1, PARSED_MAX + 1))
    with pytest.raises(DamageError):
        shelf.snapshot(bytes([0]))


def test_parsing_asks_for_no_signature() -> None:
    forged = Fabric("lab").peers(["node-1"], sign_with="stranger")
    assert parse_snapshot(forged).scope is Scope.PEERS


def test_an_active_document_whose_file_is_destroyed_is_still_there() -> None:
    it = ready()
    before = set(files(it.kit.filesystem, FOLDER))
    document = it.fabric.services(["svc-a"])
    it.cluster.activate(document)
    (added,) = set(files(it.kit.filesystem, FOLDER)) - before
    destroy(it.kit.filesystem, added)
    assert it.cluster._core.shelf.documents(it.fabric.content_id(document)) == (document,)
