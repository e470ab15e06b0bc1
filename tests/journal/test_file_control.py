"""What only `fcntl` can do: locks that two openings of a file hold against each other, and the sync past a drive's cache."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rap_journal import file_control
from rap_journal.file_control import HAS_DRIVE_SYNC, HAS_LOCKS, drive_sync, is_locked, try_lock

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these locks are Linux's")

fcntl = pytest.importorskip("fcntl")
JOURNAL_FOLDER = str(Path(__file__).resolve().parents[2] / "journal")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], int]]:
    """Opens the same file anew at each call."""
    path, descriptors = tmp_path / "LOCK", list[int]()

    def open_it() -> int:
        descriptors.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        return descriptors[-1]

    yield open_it
    for descriptor in descriptors:
        os.close(descriptor)


@pytest.fixture(params=["description locks", "flock"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to lock."""
    if request.param == "flock":
        monkeypatch.setattr(file_control, "_OFD_SETLK", None)
        monkeypatch.setattr(file_control, "_OFD_GETLK", None)
    return str(request.param)


def test_this_platform_has_locks_and_no_drive_sync_of_its_own(opened: Callable[[], int]) -> None:
    assert (HAS_LOCKS, HAS_DRIVE_SYNC) == (True, False)
    drive_sync(opened())


@pytest.mark.usefixtures("either")
def test_two_openings_conflict_in_one_process_too(opened: Callable[[], int]) -> None:
    first, second = opened(), opened()
    assert try_lock(first)
    assert not try_lock(second)
    assert try_lock(first), "whoever has it may take it again"


@pytest.mark.usefixtures("either")
def test_a_lock_goes_with_its_descriptor_and_no_other_one_of_the_file(opened: Callable[[], int], tmp_path: Path) -> None:
    holder, other = os.open(tmp_path / "LOCK", os.O_RDWR | os.O_CREAT, 0o600), opened()
    assert try_lock(holder)
    os.close(os.open(tmp_path / "LOCK", os.O_RDONLY))
    assert not try_lock(other), "a classic POSIX lock would be gone by now"
    os.close(holder)
    assert try_lock(other)


@pytest.mark.usefixtures("either")
def test_asking_tells_whether_another_opening_holds_it(opened: Callable[[], int], tmp_path: Path) -> None:
    holder, reader = opened(), os.open(tmp_path / "LOCK", os.O_RDWR | os.O_CREAT, 0o600)
    assert not is_locked(reader)
    # Where flock serves, the question holds the lock until the file it was asked of is closed.
    os.close(reader)
    assert try_lock(holder)
    assert is_locked(opened())


def test_asking_by_description_locks_takes_nothing_even_for_an_instant(opened: Callable[[], int]) -> None:
    reader, writer = opened(), opened()
    assert not is_locked(reader)
    assert try_lock(writer)
    assert is_locked(reader)
    assert not is_locked(writer), "one's own lock is in nobody's way"


HOLD = """
import os, sys
from rap_journal.file_control import try_lock
print(try_lock(os.open(sys.argv[1], os.O_RDWR)), flush=True)
sys.stdin.read()
"""


def test_the_kernel_drops_the_lock_of_a_process_that_dies(opened: Callable[[], int], tmp_path: Path) -> None:
    mine = opened()
    command = [sys.executable, "-c", HOLD, str(tmp_path / "LOCK")]
    environment = {**os.environ, "PYTHONPATH": JOURNAL_FOLDER}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "True\n"
        assert is_locked(mine) and not try_lock(mine)
        child.kill()
        child.wait()
    assert not is_locked(mine) and try_lock(mine)


def failing(number: int) -> Callable[..., Any]:
    def fail(*_arguments: object) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


def test_flock_serves_where_the_kernel_does_not_know_these_locks(
    opened: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "fcntl", failing(errno.EINVAL))
    first, second = opened(), opened()
    assert try_lock(first)
    assert not try_lock(second)
    assert is_locked(second)


@pytest.mark.parametrize("call", [try_lock, is_locked])
def test_any_other_error_is_raised_and_taken_for_no_answer(
    opened: Callable[[], int], monkeypatch: pytest.MonkeyPatch, call: Callable[[int], bool]
) -> None:
    monkeypatch.setattr(fcntl, "fcntl", failing(errno.EIO))
    monkeypatch.setattr(fcntl, "flock", failing(errno.EBADF))
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is compared
        call(opened())
    assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES])
def test_both_errors_that_say_held_mean_held(opened: Callable[[], int], monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(fcntl, "fcntl", failing(number))
    assert not try_lock(opened())


@pytest.mark.parametrize(("probes", "outcome"), [(99, True), (100, False)])
def test_a_writer_that_meets_readers_probes_tries_again_up_to_a_hundred_times(
    opened: Callable[[], int], monkeypatch: pytest.MonkeyPatch, probes: int, *, outcome: bool
) -> None:
    monkeypatch.setattr(file_control, "_OFD_SETLK", None)
    calls: list[int] = []

    def flock(_fd: int, kind: int) -> None:
        calls.append(kind)
        if len(calls) <= probes:
            raise BlockingIOError(errno.EWOULDBLOCK, "a reader asks")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert try_lock(opened()) is outcome
    assert set(calls) == {fcntl.LOCK_EX | fcntl.LOCK_NB}, "nobody ever waits"
    assert len(calls) == 100


def test_what_stands_in_the_file_is_not_looked_at(opened: Callable[[], int], tmp_path: Path) -> None:
    (tmp_path / "LOCK").write_bytes(b"pid 1 boot of long ago")
    assert not is_locked(opened())
    assert try_lock(opened())
    assert (tmp_path / "LOCK").read_bytes() == b"pid 1 boot of long ago"
