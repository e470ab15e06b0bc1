"""The key lives in a private file outside the root; a missing one is never made anew for a store that exists."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rap_journal.errors import KeyUnavailable, UnsafeFile
from rap_journal.testing import SeededRandomness
from rap_projections import NodeStore
from rap_projections.keys import KEY_BYTES, FileKeyProvider
from rap_projections.testing import MemoryKeyProvider
from tests.canary import Canary, shown_with_locals

KEY = bytes(range(KEY_BYTES))


@pytest.fixture
def provider(tmp_path: Path) -> FileKeyProvider:
    """A provider whose file was made."""
    keys = FileKeyProvider(tmp_path / "node.key")
    keys.provision(lambda count: KEY[:count])
    return keys


def test_a_provisioned_key_is_32_random_bytes_only_its_owner_may_read(provider: FileKeyProvider) -> None:
    assert Path(provider.path).read_bytes() == provider.key_encryption_key() == KEY
    assert os.stat(provider.path).st_mode & 0o7777 == 0o600


def test_the_mode_is_private_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        FileKeyProvider(tmp_path / "open").provision(SeededRandomness(0))
        os.umask(0o777)
        FileKeyProvider(tmp_path / "shut").provision(SeededRandomness(0))
    finally:
        os.umask(before)
    assert [os.stat(tmp_path / name).st_mode & 0o7777 for name in ("open", "shut")] == [0o600, 0o600]


def test_provisioning_again_keeps_the_key(provider: FileKeyProvider) -> None:
    provider.provision(SeededRandomness(1))
    assert provider.key_encryption_key() == KEY


def test_a_key_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    """Mutation: a key that was not written counts as made."""
    with pytest.raises(KeyUnavailable, match="nothing was made") as caught:
        FileKeyProvider(tmp_path / "no folder" / "key").provision(SeededRandomness(0))
    assert (caught.value.reason, caught.value.action) == ("key_file", "retry")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o660, 0o666])
def test_a_key_others_may_read_or_write_is_not_used(provider: FileKeyProvider, mode: int) -> None:
    os.chmod(provider.path, mode)
    with pytest.raises(UnsafeFile):
        provider.key_encryption_key()


def test_a_link_in_the_place_of_the_key_is_not_followed(provider: FileKeyProvider, tmp_path: Path) -> None:
    """It was told as a file that cannot be read now and is to be tried again, as no other link is."""
    (tmp_path / "link").symlink_to(provider.path)
    with pytest.raises(UnsafeFile, match="link is a symbolic link") as caught:
        FileKeyProvider(tmp_path / "link").key_encryption_key()
    assert (caught.value.reason, caught.value.action) == ("link", "operator")


@pytest.mark.parametrize("content", [b"", KEY[:-1], KEY + b"\0", KEY * 100])
def test_a_key_of_another_length_is_not_used(provider: FileKeyProvider, content: bytes) -> None:
    Path(provider.path).write_bytes(content)
    with pytest.raises(KeyUnavailable, match="does not hold 32 bytes, so it is no key; nothing was opened") as caught:
        provider.key_encryption_key()
    assert (caught.value.reason, caught.value.action) == ("key_length", "retry")


def test_a_key_file_that_is_not_there_is_no_reason_to_enroll_anew_and_reading_makes_none(tmp_path: Path) -> None:
    """Mutation: where there is no file, give no key."""
    with pytest.raises(KeyUnavailable, match=r"there is no key file .*; nothing was opened. Check the path.") as caught:
        FileKeyProvider(tmp_path / "key").key_encryption_key()
    assert (caught.value.reason, caught.value.action) == ("no_key_file", "retry")
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_that_cannot_be_read_is_to_be_tried_again(provider: FileKeyProvider) -> None:
    """Mutation: tell every file that cannot be read as one that is not there."""
    with pytest.raises(KeyUnavailable, match="cannot be read") as caught:
        FileKeyProvider(f"{provider.path}/inside").key_encryption_key()
    assert (caught.value.reason, caught.value.action) == ("key_file", "retry")


WRONG_KEYS = {"absent": (None, "no_key_file"), "of another store": (b"o" * 32, "wrong_key"), "no key": (b"text\n", "key_length")}


@pytest.mark.parametrize("case", WRONG_KEYS)
def test_a_mistyped_path_costs_a_store_nothing_and_tells_absent_from_wrong(
    provider: FileKeyProvider, tmp_path: Path, case: str
) -> None:
    root, (content, reason) = tmp_path / "store", WRONG_KEYS[case]
    NodeStore.open(root, keys=provider, create=True, background=False).close()
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != "LOCK"}
    other = tmp_path / "other"
    if content is not None:
        other.touch(0o600)
        other.write_bytes(content)
    with pytest.raises(KeyUnavailable) as caught:
        NodeStore.open(root, keys=FileKeyProvider(other), create=True, background=False)
    assert (caught.value.reason, caught.value.action) == (reason, "retry")
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != "LOCK"} == before
    NodeStore.open(root, keys=provider, background=False).close()


@pytest.mark.parametrize("create", [False, True])
def test_a_missing_key_is_never_made_anew_for_a_store_that_exists(
    provider: FileKeyProvider, tmp_path: Path, create: bool
) -> None:
    root = tmp_path / "store"
    NodeStore.open(root, keys=provider, create=True, background=False).close()
    os.unlink(provider.path)
    with pytest.raises(KeyUnavailable):
        NodeStore.open(root, keys=provider, create=create, background=False)
    assert not os.path.exists(provider.path)
    Path(provider.path).touch(0o600)
    Path(provider.path).write_bytes(KEY)
    NodeStore.open(root, keys=provider, background=False).close()


SHOWN: dict[str, Callable[[object], str]] = {"repr": repr, "str": str, "variables": lambda keys: repr(vars(keys))}


@pytest.mark.parametrize("shown", SHOWN)
def test_a_representation_shows_where_the_key_is_and_never_the_key(provider: FileKeyProvider, shown: str) -> None:
    assert provider.key_encryption_key() == KEY
    text = SHOWN[shown](provider)
    assert provider.path in text
    assert repr(KEY)[2:-1] not in text
    assert KEY.hex() not in text
    assert repr(provider) == f"FileKeyProvider({provider.path!r})"
    assert repr(MemoryKeyProvider(KEY)) == "MemoryKeyProvider()"


def test_no_error_about_a_key_shows_any_of_it(provider: FileKeyProvider) -> None:
    Path(provider.path).write_bytes(b"hunter2")
    with pytest.raises(KeyUnavailable) as caught:
        provider.key_encryption_key()
    assert "hunter2" not in f"{caught.value!r} {caught.value.facts()}"


def test_a_key_that_cannot_be_made_is_in_no_frame_of_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stood in those of writing it, though it may be on the disk where the folder's sync alone failed."""

    def broken(_fd: int) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(KeyUnavailable) as caught:
        FileKeyProvider(tmp_path / "key").provision(SeededRandomness("canary"))
    canary = Canary({"key": (tmp_path / "key").read_bytes()})
    assert (caught.value.reason, canary.found_in(shown_with_locals(caught.value))) == ("key_file", [])
