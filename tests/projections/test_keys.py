"""What callers see of keys: a closed set of providers, none of whose files may lie inside the store's root."""

from pathlib import Path, PurePath

import pytest

from rap_journal.errors import MisuseError
from rap_projections import NodeStore, keys
from rap_projections.keys import FileKeyProvider, Tpm2Provider, require_outside
from rap_projections.testing import MemoryKeyProvider


def test_every_name_that_callers_are_told_of_is_there() -> None:
    assert [name for name in keys.__all__ if not hasattr(keys, name)] == []


@pytest.mark.parametrize("inside", ["store/key", "store/clusters/key", "store", "elsewhere/../store/key", "store/../store/key"])
def test_a_key_inside_the_root_is_refused_before_anything_is_made(tmp_path: Path, inside: str) -> None:
    with pytest.raises(MisuseError, match="nothing was done") as caught:
        NodeStore.open(tmp_path / "store", keys=FileKeyProvider(f"{tmp_path}/{inside}"), create=True, background=False)
    assert caught.value.reason == "key_inside_root"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("root", "key"), [("store", "{}/store/key"), ("{}/store", "store/key"), ("./store", "store/key")])
def test_a_key_inside_the_root_is_found_there_however_the_two_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str, key: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MisuseError):
        require_outside(root.format(tmp_path), FileKeyProvider(key.format(tmp_path)))


def test_a_key_inside_the_root_is_found_there_over_a_link_too(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to("store")
    with pytest.raises(MisuseError):
        require_outside(str(tmp_path / "store"), FileKeyProvider(tmp_path / "link" / "key"))


@pytest.mark.parametrize("path", ["/etc/rap/node.key", "/node.key", "/node-2/key", "/node/../key"])
def test_a_key_beside_the_root_is_welcome(path: str) -> None:
    require_outside("/node", FileKeyProvider(PurePath(path)))
    with pytest.raises(MisuseError):
        require_outside("/", FileKeyProvider(PurePath(path)))


def test_a_provider_that_has_no_file_is_never_inside() -> None:
    require_outside("/", MemoryKeyProvider())
    assert not hasattr(MemoryKeyProvider(), "path"), "one that names a file is looked at"


@pytest.mark.parametrize("make", [FileKeyProvider, Tpm2Provider])
def test_every_provider_that_keeps_a_file_keeps_it_outside(make: type[FileKeyProvider] | type[Tpm2Provider]) -> None:
    with pytest.raises(MisuseError):
        require_outside("/node", make("/node/key"))
