"""The door to the kernel's key service: keys that live in the kernel's memory, and no longer than it (keyrings(7)). Linux only.

Rules this file keeps:

- The calls are made by number through libc's `syscall`, so that no library is needed; machines without a known number are told so.
- Every failure is an `OSError` with the kernel's number; elsewhere than on Linux it is ENOSYS.
- What was read comes in a buffer that the caller can wipe.

Sources: the tables of system calls in the kernel's `arch/*/entry/syscalls` and `include/uapi/asm-generic/unistd.h`; keyctl(2).

Example::

    key = read_key("user", "rap:node", 32)
"""

import ctypes
import errno
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

KEYRINGS = {"session": -3, "user": -4, "user-session": -5}
"""The keyrings that can be named, and the numbers that stand for the caller's own (keyctl(2)). Those of a thread or a process end with it."""

KEY_TYPE = b"user"
"""Readable from outside of the kernel by whoever possesses the key. A "logon", "encrypted" or "trusted" key cannot be read back, so
that nothing could be unwrapped with it here."""

_SHARED_BY_USER = ("user", "user-session")
_THREAD_KEYRING = -1

_KEYCTL_LINK = 8
_KEYCTL_UNLINK = 9
_KEYCTL_SEARCH = 10
_KEYCTL_READ = 11

_CALLS = {
    "x86_64": (248, 250),
    "i386": (286, 288),
    "i686": (286, 288),
    "aarch64": (217, 219),
    "riscv64": (217, 219),
    "loongarch64": (217, 219),
    "armv6l": (309, 311),
    "armv7l": (309, 311),
    "ppc64": (269, 271),
    "ppc64le": (269, 271),
    "s390x": (278, 280),
}
"""Numbers of add_key and keyctl, by machine. A 32-bit program on a 64-bit kernel has those of the 32-bit machine."""

_NARROW = {"x86_64": "i686", "aarch64": "armv7l"}


def read_key(keyring: str, description: str, size_max: int) -> bytearray:
    """The key of this description in a keyring of `KEYRINGS`, or in one linked to it, in a buffer that can be wiped.

    Raises `OSError`: ENOKEY for none, EKEYEXPIRED, EKEYREVOKED, EACCES, ENOSYS, and EFBIG for one longer than `size_max` bytes.
    """
    with _possessing(keyring):
        serial = _find(keyring, description)
        content = bytearray(size_max)
        view = (ctypes.c_char * size_max).from_buffer(content)
        size = _keyctl(_KEYCTL_READ, serial, view, size_max, 0)
        del view
    if size > size_max:
        content[:] = bytes(size_max)
        raise OSError(errno.EFBIG, f"the key is longer than {size_max} bytes")
    del content[size:]
    return content


def add_key(keyring: str, description: str, content: bytearray) -> None:
    """Put a key into a keyring, in the place of one of the same description. Raises `OSError`: EDQUOT, EACCES, ENOSYS."""
    view = (ctypes.c_char * len(content)).from_buffer(content)
    add, _control = _numbers()
    _call(add, KEY_TYPE, description.encode(), view, len(content), KEYRINGS[keyring])


def remove_key(keyring: str, description: str) -> None:
    """Take a key out of a keyring; without any other link to it, it is gone. Raises `OSError`: ENOKEY, EACCES, ENOSYS."""
    with _possessing(keyring):
        _keyctl(_KEYCTL_UNLINK, _find(keyring, description), KEYRINGS[keyring], 0, 0)


@contextmanager
def _possessing(keyring: str) -> Iterator[None]:
    """Let this thread possess what is in a keyring: a service's session does not link that of its user, and only who possesses a key
    may read it."""
    if keyring not in _SHARED_BY_USER:
        yield
        return
    _keyctl(_KEYCTL_LINK, KEYRINGS[keyring], _THREAD_KEYRING, 0, 0)
    try:
        yield
    finally:
        _keyctl(_KEYCTL_UNLINK, KEYRINGS[keyring], _THREAD_KEYRING, 0, 0)


def _find(keyring: str, description: str) -> int:
    return _keyctl(_KEYCTL_SEARCH, KEYRINGS[keyring], KEY_TYPE, description.encode(), 0)


def _keyctl(operation: int, *arguments: object) -> int:
    _add, control = _numbers()
    return _call(control, operation, *arguments)


def _numbers() -> tuple[int, int]:
    machine = platform.machine()
    found = _CALLS.get(_NARROW.get(machine, machine) if sys.maxsize < 1 << 32 else machine)
    if sys.platform != "linux" or found is None:
        raise OSError(errno.ENOSYS, f"no kernel key service is known on {sys.platform} ({machine})")
    return found


def _call(number: int, *arguments: object) -> int:
    system_call = ctypes.CDLL(None, use_errno=True).syscall
    system_call.restype = ctypes.c_long
    passed = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    answer = int(system_call(ctypes.c_long(number), *passed))
    if answer < 0:
        failure = ctypes.get_errno()
        raise OSError(failure, f"the kernel key service answers {errno.errorcode.get(failure, failure)}")
    return answer
