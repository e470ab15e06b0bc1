"""Removing a folder with everything in it, or nothing at all."""

import errno
from pathlib import Path

import pytest

from rap_journal.filesystem import Directory
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.testing import MemoryFileSystem
from rap_journal.trees import remove_tree


@pytest.fixture
def filesystem() -> MemoryFileSystem:
    return MemoryFileSystem()


@pytest.fixture
def parent(filesystem: MemoryFileSystem) -> Directory:
    """A folder with one to remove and one to keep."""
    root = filesystem.open_root("/store", create=True)
    for name in ("going", "staying"):
        with root.create_directory(name) as folder:
            folder.create("file").close()
            with folder.create_directory("inner") as inner, inner.create_directory("deepest") as deepest:
                deepest.create("file").close()
                for each in (deepest, inner, folder):
                    each.sync()
    root.sync()
    filesystem.operations.clear()
    return root


def test_a_folder_goes_with_everything_in_it_and_its_neighbour_stays(filesystem: MemoryFileSystem, parent: Directory) -> None:
    remove_tree(parent, "going")
    assert parent.names() == ["staying"]
    assert parent.directory("staying").directory("inner").directory("deepest").names() == ["file"]
    assert [(operation.name, operation.path) for operation in filesystem.operations] == [
        ("unlink", "going/file"),
        ("unlink", "going/inner/deepest/file"),
        ("remove_directory", "going/inner/deepest"),
        ("remove_directory", "going/inner"),
        ("remove_directory", "going"),
        ("sync_directory", ""),
    ]


def test_it_is_gone_for_good_on_return(filesystem: MemoryFileSystem, parent: Directory) -> None:
    remove_tree(parent, "going")
    assert filesystem.crash().open_root("/store").names() == ["staying"]


def test_nothing_happens_where_nothing_is(filesystem: MemoryFileSystem, parent: Directory) -> None:
    remove_tree(parent, "nowhere")
    assert filesystem.operations == []


def test_a_file_in_the_place_of_a_folder_goes_too(parent: Directory) -> None:
    parent.create("going-file").close()
    remove_tree(parent, "going-file")
    assert parent.names() == ["going", "staying"]


def test_what_cannot_be_removed_is_raised_and_it_can_be_tried_again(filesystem: MemoryFileSystem, parent: Directory) -> None:
    filesystem.fail("unlink", "going/inner/*", errno.EROFS)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is compared
        remove_tree(parent, "going")
    assert caught.value.errno == errno.EROFS
    assert "going" in parent.names()
    remove_tree(parent, "going")
    assert parent.names() == ["staying"]


def test_a_link_is_removed_and_never_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    with OsFileSystem().open_root(str(tmp_path / "store"), create=True) as root:
        root.create_directory("going").close()
        (tmp_path / "store" / "going" / "link").symlink_to(tmp_path / "precious")
        (tmp_path / "store" / "link").symlink_to(tmp_path / "precious")
        remove_tree(root, "going")
        remove_tree(root, "link")
        assert root.names() == []
    assert (tmp_path / "precious" / "file").read_text() == "kept"
