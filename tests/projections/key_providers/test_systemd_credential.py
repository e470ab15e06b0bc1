"""A credential of systemd: where it must be, whose it must be, and what to do where it is not there."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rap_journal.errors import KeyUnavailable, MisuseError, UnsafeFile
from rap_journal.testing import SeededRandomness
from rap_projections import NodeStore
from rap_projections.key_providers.systemd_credential import DIRECTORY_VARIABLE, SystemdCredentialProvider

KEY = bytes(range(32))
NAME = "rap.key"


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as systemd makes it: 0500, with the credential in it, 0400."""
    folder = tmp_path / "rap-node.service"
    folder.mkdir()
    (folder / NAME).write_bytes(KEY)
    (folder / NAME).chmod(0o400)
    folder.chmod(0o500)
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(folder))
    return folder


def replaced(folder: Path, change: Callable[[Path], object]) -> None:
    """Change the credential, or what stands in its place."""
    folder.chmod(0o700)
    change(folder / NAME)
    folder.chmod(0o500)


def test_the_credential_is_read(credentials: Path) -> None:
    assert SystemdCredentialProvider(NAME).key_encryption_key() == KEY


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o550, 0o440), (0o700, 0o600), (0o500, 0o400)])
def test_group_bits_that_stand_for_an_access_list_are_no_danger(credentials: Path, folder_mode: int, file_mode: int) -> None:
    replaced(credentials, lambda path: path.chmod(file_mode))
    credentials.chmod(folder_mode)
    assert SystemdCredentialProvider(NAME).key_encryption_key() == KEY


def test_a_store_lives_by_a_credential(credentials: Path, tmp_path: Path) -> None:
    with NodeStore.open(tmp_path / "store", keys=SystemdCredentialProvider(NAME), create=True, background=False) as store:
        assert store.report()["protection"] == "systemd_credential"
    NodeStore.open(tmp_path / "store", keys=SystemdCredentialProvider(NAME), background=False).close()


def test_provisioning_makes_none_and_says_which_command_does(credentials: Path) -> None:
    """Mutation: a credential that is not there counts as made."""
    SystemdCredentialProvider(NAME).provision(SeededRandomness(0))
    assert (credentials / NAME).read_bytes() == KEY
    with pytest.raises(
        KeyUnavailable, match=r"systemd-creds encrypt --name=other\.key - /etc/credstore\.encrypted/other\.key"
    ) as caught:
        SystemdCredentialProvider("other.key").provision(SeededRandomness(0))
    assert "LoadCredentialEncrypted=other.key" in str(caught.value)
    assert os.listdir(credentials) == [NAME]


def test_outside_of_a_unit_the_credential_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: without the variable, look in no folder at all."""
    monkeypatch.delenv(DIRECTORY_VARIABLE, raising=False)
    with pytest.raises(KeyUnavailable, match="CREDENTIALS_DIRECTORY is not set") as caught:
        SystemdCredentialProvider(NAME).key_encryption_key()
    assert (caught.value.reason, caught.value.action) == ("credential", "retry")


@pytest.mark.parametrize("missing", ["the file", "the folder"])
def test_a_credential_that_the_unit_does_not_load_is_unavailable_and_never_lost(
    credentials: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    if missing == "the folder":
        monkeypatch.setenv(DIRECTORY_VARIABLE, f"{credentials}-2")
    else:
        replaced(credentials, Path.unlink)
    with pytest.raises(KeyUnavailable) as caught:
        SystemdCredentialProvider(NAME).key_encryption_key()
    assert type(caught.value) is KeyUnavailable


@pytest.mark.parametrize("form", ["{}/", "{}/../{name}", "{}//", "relative", "./x", ""])
def test_a_folder_that_is_not_an_absolute_normal_path_is_not_used(
    credentials: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Mutation: the folder that the environment names is used whatever it is."""
    monkeypatch.setenv(DIRECTORY_VARIABLE, form.format(credentials, name=credentials.name))
    with pytest.raises(KeyUnavailable, match="not an absolute, normal path"):
        SystemdCredentialProvider(NAME).key_encryption_key()


@pytest.mark.parametrize("size", [0, 31, 33, 4096])
def test_a_credential_of_another_length_is_tampered(credentials: Path, size: int) -> None:
    def fill(path: Path) -> None:
        path.chmod(0o600)
        path.write_bytes(bytes(size))

    replaced(credentials, fill)
    with pytest.raises(KeyUnavailable) as caught:
        SystemdCredentialProvider(NAME).key_encryption_key()
    assert caught.value.reason == "key_length"


@pytest.mark.parametrize("mode", [0o404, 0o402, 0o420, 0o444, 0o460])
def test_a_credential_that_others_may_read_or_change_is_not_used(credentials: Path, mode: int) -> None:
    replaced(credentials, lambda path: path.chmod(mode))
    with pytest.raises(UnsafeFile) as caught:
        SystemdCredentialProvider(NAME).key_encryption_key()
    assert caught.value.reason == "mode"


@pytest.mark.parametrize("mode", [0o705, 0o702, 0o720, 0o777])
def test_a_folder_that_others_may_read_or_change_is_not_used(credentials: Path, mode: int) -> None:
    credentials.chmod(mode)
    with pytest.raises(UnsafeFile) as caught:
        SystemdCredentialProvider(NAME).key_encryption_key()
    assert caught.value.reason == "mode"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("whose", ["the folder", "the file"])
def test_what_belongs_to_another_user_is_not_used(credentials: Path, whose: str) -> None:
    os.chown(credentials if whose == "the folder" else credentials / NAME, 65534, -1)
    with pytest.raises(UnsafeFile) as caught:
        SystemdCredentialProvider(NAME).key_encryption_key()
    assert caught.value.reason == "owner"


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o400)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o500)


@pytest.mark.parametrize("change", [link, pipe, folder])
def test_what_is_no_file_is_not_read(credentials: Path, change: Callable[[Path], None]) -> None:
    replaced(credentials, change)
    with pytest.raises((UnsafeFile, KeyUnavailable)):
        SystemdCredentialProvider(NAME).key_encryption_key()


def test_a_link_in_the_place_of_the_folder_is_not_followed(credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (credentials.parent / "link").symlink_to(credentials)
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(credentials.parent / "link"))
    with pytest.raises(UnsafeFile):
        SystemdCredentialProvider(NAME).key_encryption_key()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a:b", "a b", "ä", "a\n", "x" * 256, "../rap.key"])
def test_a_name_that_systemd_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(MisuseError) as caught:
        SystemdCredentialProvider(name)
    assert caught.value.reason == "credential_name"


@pytest.mark.parametrize("name", ["rap.key", "rap-node_key@1", "..rap", "x" * 255])
def test_a_name_that_systemd_takes_is_taken(name: str) -> None:
    assert repr(SystemdCredentialProvider(name)) == f"SystemdCredentialProvider({name!r})"
