"""What every implementation of the door to the file system shares; that they keep its promises is in `tests/contracts`."""

import pytest

from rap_journal.errors import MisuseError, StoreBusy, UnsafeFile
from rap_journal.filesystem import Directory, check_name, read_whole, store_busy, unsafe_file
from rap_journal.testing import MemoryFileSystem


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/b", "/etc", "a/", "a\0b", "../a"])
def test_what_is_more_or_less_than_one_component_is_no_name(name: str) -> None:
    with pytest.raises(MisuseError) as caught:
        check_name(name)
    assert (caught.value.reason, caught.value.exit_code) == ("bad_name", 2)


@pytest.mark.parametrize("name", ["a", "...", ".join-lab", "checkpoint-0000000000000000", "-", " ", "ä"])
def test_one_component_is_a_name_whatever_it_is_made_of(name: str, root: Directory) -> None:
    check_name(name)
    root.create(name).close()
    assert name in root.names()


def test_a_bad_name_is_shown_escaped_and_short() -> None:
    with pytest.raises(MisuseError) as caught:
        check_name("\x1b[31m/" + "x" * 500)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.fixture
def root() -> Directory:
    root = MemoryFileSystem().open_root("/store", create=True)
    with root.create("file") as file:
        file.write_at(0, b"0123456789")
    return root


@pytest.mark.parametrize(("size_max", "length"), [(0, 1), (5, 6), (9, 10), (10, 10), (1000, 10)])
def test_reading_whole_shows_an_oversized_file_without_reading_it_whole(root: Directory, size_max: int, length: int) -> None:
    assert read_whole(root, "file", size_max) == b"0123456789"[:length]


def test_reading_whole_leaves_no_handle_behind(root: Directory) -> None:
    read_whole(root, "file", 5)
    with pytest.raises(FileNotFoundError):
        read_whole(root, "nowhere", 5)


def test_an_unsafe_file_is_named_with_what_is_wrong_and_what_to_do() -> None:
    error = unsafe_file("trust/keys-00000001", "has mode 0644", "mode")
    assert isinstance(error, UnsafeFile)
    assert (error.file, error.reason, error.action, error.exit_code) == ("trust/keys-00000001", "mode", "operator", 11)
    assert str(error).startswith("trust/keys-00000001 has mode 0644; it was not used and nothing was changed.")
    assert "find out who changed this one" in str(error)


def test_a_busy_store_names_its_holder_where_it_is_known() -> None:
    error = store_busy("LOCK", "pid 17 boot 00ff")
    assert isinstance(error, StoreBusy)
    assert (error.holder, error.file, error.action, error.exit_code) == ("pid 17 boot 00ff", "LOCK", "retry", 5)
    assert "LOCK is locked by pid 17 boot 00ff; nothing was changed." in str(error)
    assert "locked by another process;" in str(store_busy("LOCK", ""))
