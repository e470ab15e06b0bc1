"""The door to the kernel's key service, against the kernel of this machine; and what other machines are told."""

import ctypes
import errno
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from rap_journal import kernel_keyring
from rap_journal.kernel_keyring import KEYRINGS, add_key, read_key, remove_key
from tests.projections.key_providers.keepers import need_kernel_keyring

KEYRING = "user"
KEY = bytes(range(32))


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """A description that no other test has; what is put under it is taken out again."""
    need_kernel_keyring()
    name = f"rap-test:{request.node.name}"
    yield name
    for keyring in KEYRINGS:
        with suppress(OSError):
            remove_key(keyring, name)


def fails_with(number: int, step: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(OSError, match=errno.errorcode[number]) as caught:
        step(*arguments)
    assert caught.value.errno == number


@pytest.mark.parametrize("keyring", sorted(KEYRINGS))
def test_a_key_is_read_from_the_keyring_it_was_put_into(name: str, keyring: str) -> None:
    add_key(keyring, name, bytearray(KEY))
    assert read_key(keyring, name, 32) == KEY
    remove_key(keyring, name)
    fails_with(errno.ENOKEY, read_key, keyring, name, 32)
    fails_with(errno.ENOKEY, remove_key, keyring, name)


@pytest.mark.parametrize("size", [1, 31, 32])
def test_a_shorter_key_comes_with_its_own_length(name: str, size: int) -> None:
    add_key(KEYRING, name, bytearray(KEY[:size]))
    assert read_key(KEYRING, name, 32) == KEY[:size]


def test_a_longer_key_is_not_cut(name: str) -> None:
    add_key(KEYRING, name, bytearray(33))
    with pytest.raises(OSError, match="longer than 32 bytes") as caught:
        read_key(KEYRING, name, 32)
    assert caught.value.errno == errno.EFBIG


def test_what_was_read_can_be_wiped_and_stays_in_the_kernel(name: str) -> None:
    add_key(KEYRING, name, bytearray(KEY))
    read_key(KEYRING, name, 32)[:] = bytes(32)
    assert read_key(KEYRING, name, 32) == KEY


def test_a_revoked_key_says_so(name: str) -> None:
    add_key(KEYRING, name, bytearray(KEY))
    revoke = 3
    with kernel_keyring._possessing(KEYRING):
        serial = kernel_keyring._find(KEYRING, name)
        kernel_keyring._keyctl(revoke, serial, 0, 0, 0)
    fails_with(errno.EKEYREVOKED, read_key, KEYRING, name, 32)


def test_another_thread_and_a_second_look_find_the_same_key(name: str) -> None:
    add_key(KEYRING, name, bytearray(KEY))
    found: list[bytearray] = []
    for _again in range(2):
        thread = threading.Thread(target=lambda: found.append(read_key(KEYRING, name, 32)))
        thread.start()
        thread.join()
    assert found == [KEY, KEY]


IN_A_SESSION_OF_ITS_OWN = """
import sys
from rap_journal import kernel_keyring
join_session = 1
kernel_keyring._keyctl(join_session, None, 0, 0, 0)
for keyring in ("user", "session"):
    try:
        print(bytes(kernel_keyring.read_key(keyring, sys.argv[1], 32)).hex())
    except OSError as error:
        print(error.errno)
"""


def test_a_service_with_a_session_of_its_own_reads_its_users_keys_and_no_other_sessions(name: str) -> None:
    add_key("user", name, bytearray(KEY))
    add_key("session", name, bytearray(KEY))
    path = {"PYTHONPATH": str(kernel_keyring.__file__).rpartition("/rap_journal")[0]}
    told = subprocess.run(
        [sys.executable, "-c", IN_A_SESSION_OF_ITS_OWN, name], env=path, capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.split() == [KEY.hex(), str(errno.ENOKEY)]


# Other machines


@pytest.mark.parametrize(
    ("system", "machine", "widest", "numbers"),
    [
        ("linux", "x86_64", 2**63 - 1, (248, 250)),
        ("linux", "x86_64", 2**31 - 1, (286, 288)),
        ("linux", "aarch64", 2**63 - 1, (217, 219)),
        ("linux", "aarch64", 2**31 - 1, (309, 311)),
        ("linux", "riscv64", 2**63 - 1, (217, 219)),
        ("linux", "ppc64le", 2**63 - 1, (269, 271)),
        ("linux", "s390x", 2**63 - 1, (278, 280)),
        ("linux", "armv7l", 2**31 - 1, (309, 311)),
    ],
)
def test_the_calls_have_their_numbers_by_machine(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, widest: int, numbers: tuple[int, int]
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(sys, "maxsize", widest)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert kernel_keyring._numbers() == numbers


@pytest.mark.parametrize(
    ("system", "machine"), [("darwin", "arm64"), ("win32", "AMD64"), ("linux", "m68k"), ("darwin", "x86_64")]
)
def test_a_machine_without_a_known_key_service_is_told_so_and_nothing_is_called(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str
) -> None:
    def called(*_arguments: object, **_options: object) -> object:
        raise AssertionError("nothing may be called by a number that means something else here")

    monkeypatch.setattr(ctypes, "CDLL", called)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    for step in (
        lambda: read_key("user", "x", 32),
        lambda: remove_key("session", "x"),
        lambda: add_key("user", "x", bytearray(1)),
    ):
        with pytest.raises(OSError, match=f"no kernel key service is known on {system}") as caught:
            step()
        assert caught.value.errno == errno.ENOSYS
