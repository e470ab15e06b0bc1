"""The real keepers of keys, in small: a TPM in software, the kernel's keyrings, a Secret Service on a bus of its own. Tests that need
one which this machine lacks skip, and say what is missing.

Example::

    with software_tpm() as tpm:
        Tpm2Provider(path, tcti=tpm.tcti)
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rap_journal.kernel_keyring import read_key

COLLECTION_PASSWORD = "opens the collection of tests"  # it protects nothing
ROOT = Path(__file__).resolve().parents[3]


def need_program(name: str, package: str) -> None:
    """Skip the test where this machine lacks a program."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed (Debian: apt install {package})")


def need_library(name: str, extra: str) -> None:
    """Skip the test where this Python lacks a library."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed (pip install 'rap-node-state[{extra}]')")


def need_kernel_keyring() -> None:
    """Skip the test where the kernel's key service may not be used, as in many containers."""
    try:
        read_key("user", "a key that is not there", 1)
    except OSError as error:
        if "ENOKEY" not in str(error):
            pytest.skip(f"the kernel key service may not be used here ({error.strerror})")


class FakeBackend:
    """A backend that keeps entries in memory, or fails."""

    def __init__(self, entries: dict[tuple[str, str], str] | None = None, failure: Exception | None = None) -> None:
        self.entries = entries if entries is not None else {}
        self.failure = failure

    def get_password(self, service: str, user: str) -> str | None:
        if self.failure is not None:
            raise self.failure
        return self.entries.get((service, user))

    def set_password(self, service: str, user: str, text: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.entries[service, user] = text


def library_with(backend: object, patch: pytest.MonkeyPatch) -> None:
    """Let the library `keyring` answer with a backend, whether it is installed or not."""
    library = ModuleType("keyring")
    library.get_keyring = lambda: backend  # type: ignore[attr-defined]  # all that is used of the library
    patch.setitem(sys.modules, "keyring", library)


class SoftwareTpm:
    """A TPM 2.0 that is a process, with its state in a folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.tcti = f"swtpm:path={folder}/data"

    def start(self) -> None:
        """Switch it on. It answers when this returns."""
        subprocess.run(
            [
                "swtpm", "socket", "--tpm2", "--daemon", "--pid", f"file={self._folder}/pid", "--tpmstate", f"dir={self._folder}",
                "--server", f"type=unixio,path={self._folder}/data", "--ctrl", f"type=unixio,path={self._folder}/data.ctrl",
                "--flags", "not-need-init,startup-clear",
            ],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip

    def stop(self) -> None:
        """Switch it off; what is not in its state is forgotten."""
        with suppress(FileNotFoundError):
            subprocess.run(
                ["swtpm_ioctl", "--unix", f"{self._folder}/data.ctrl", "-s"], check=False, capture_output=True, timeout=60
            )

    def clear(self) -> None:
        """Let its owner clear it: every storage key is another one from then on."""
        import tpm2_pytss

        with tpm2_pytss.ESAPI(self.tcti) as context:
            context.clear(tpm2_pytss.ESYS_TR.LOCKOUT)

    def set_owner_password(self, password: bytes) -> None:
        """Let its owner hierarchy ask for a password."""
        import tpm2_pytss

        with tpm2_pytss.ESAPI(self.tcti) as context:
            context.hierarchy_change_auth(tpm2_pytss.ESYS_TR.OWNER, password)


@contextmanager
def software_tpm() -> Iterator[SoftwareTpm]:
    """A TPM that was never used. Its folder has a short name: the path of a socket has at most 108 bytes."""
    need_program("swtpm", "swtpm")
    need_program("swtpm_ioctl", "swtpm-tools")
    need_library("tpm2_pytss", "tpm2")
    with tempfile.TemporaryDirectory(prefix="tpm-") as folder:
        tpm = SoftwareTpm(folder)
        tpm.start()
        try:
            yield tpm
        finally:
            tpm.stop()


def with_secret_service(folder: Path, script: str) -> Any:
    """What `script` prints as JSON, run beside a Secret Service that holds nothing, on a bus of its own, at home in `folder`."""
    need_program("dbus-run-session", "dbus")
    need_program("gnome-keyring-daemon", "gnome-keyring")
    need_library("keyring", "keystore")
    need_library("secretstorage", "keystore")
    return _child(["dbus-run-session", "--", sys.executable, "-c", _BESIDE_A_SERVICE + script], folder)


def without_secret_service(folder: Path, script: str) -> Any:
    """What `script` prints as JSON, run where no Secret Service can be reached."""
    need_library("keyring", "keystore")
    return _child([sys.executable, "-c", script], folder, DBUS_SESSION_BUS_ADDRESS=f"unix:path={folder}/no-bus")


def _child(command: list[str], folder: Path, **variables: str) -> Any:
    path = os.pathsep.join(str(ROOT / name) for name in ("journal", "projections"))
    homes = dict.fromkeys(("HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), str(folder))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path, **homes, **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


_BESIDE_A_SERVICE = f"""
import atexit, subprocess
service = subprocess.Popen(
    ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
)
atexit.register(service.wait)
atexit.register(service.terminate)
service.stdin.write(b"{COLLECTION_PASSWORD}")
service.stdin.close()
service.stdout.read()
"""
