"""The command beside a writer in another process: it takes no lock, changes nothing, raises no false alarm, and shows no secret."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from rap_journal.os_filesystem import OsFileSystem
from tests.project.source_files import ROOT
from tests.tools.command import Disk, all_bytes, make_store, rap_state

CANARY = "canary-7f3a-do-not-print"

WRITER = """
import sys
from rap_projections import NodeStore
from rap_projections.keys import FileKeyProvider

root, key_file, canary = sys.argv[1:]
with NodeStore.open(root, keys=FileKeyProvider(key_file), background=False) as store:
    cluster = store.cluster("lab")
    cluster.telemetry.record("probe", canary)
    cluster.hints.put("last", canary, ttl_s=600)
    cluster.flush()
    print("ready", flush=True)
    for line in sys.stdin:
        for number in range(int(line)):
            cluster.peers.observe("node-1", rtt_ms=5.0 + number % 7)
            cluster.health.partition("busy", on=number % 2 == 0)
            cluster.flush()
        if not int(line):
            store.tick()
        print("done", flush=True)
"""

READING = [
    ("status",),
    ("status", "-o", "json"),
    ("log",),
    ("log", "-n", "3", "-r", "-o", "ndjson"),
    ("log", "--agent"),
    ("show", "HEAD"),
    ("show", "@1", "-o", "json"),
    ("state", "peers/node-1"),
    ("state", "health", "--at", "HEAD~2", "-o", "json"),
    ("keys",),
    ("keys", "-o", "json"),
    ("verify",),
    ("verify", "-o", "json"),
]

WRONG = [
    ("log", "-k", "nonsense"),
    ("state", "peers/x/y"),
    ("show", "@99999"),
    ("status", "--key-file", "/absent"),
    ("log", "--bogus"),
]


class Writer(NamedTuple):
    """A process that holds the store open."""

    disk: Disk
    process: "subprocess.Popen[str]"

    def ask(self, rounds: int) -> None:
        """Have it write so many rounds; answers when they are done."""
        self.start(rounds)
        self.finish()

    def start(self, rounds: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{rounds}\n")
        self.process.stdin.flush()

    def finish(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "done\n"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    disk = make_store(tmp_path)
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("journal", "projections"))
    command = [sys.executable, "-c", WRITER, str(disk.root), str(disk.key_file), CANARY]
    with subprocess.Popen(
        command, env={"PYTHONPATH": paths}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Writer(disk, process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def around(disk: Disk) -> dict[str, str]:
    return {"RAP_STATE_DIR": str(disk.root), "RAP_STATE_KEY_FILE": str(disk.key_file)}


def test_no_file_is_changed_and_the_lock_stays_the_writers(writer: Writer) -> None:
    disk = writer.disk
    with OsFileSystem().open_root(str(disk.root)) as root:
        holder, before = root.lock_holder("LOCK"), all_bytes(disk.root)
        assert holder is not None and holder.startswith(f"pid {writer.process.pid} ")
        for command in READING:
            assert rap_state(*command, environment=around(disk)).code == 0, command
            assert rap_state(*command, environment={"RAP_STATE_DIR": str(disk.root)}).code in (0, 11), command
        assert (root.lock_holder("LOCK"), all_bytes(disk.root)) == (holder, before)
    writer.ask(3)


def test_the_status_names_the_writer_and_follows_it(writer: Writer) -> None:
    first = rap_state("status", "-o", "json", environment=around(writer.disk)).json()
    writer.ask(5)
    writer.ask(0)
    second = rap_state("status", "-o", "json", environment=around(writer.disk)).json()
    assert (first["is_live"], second["is_live"]) == (True, True)
    assert second["store_info"]["writer"].startswith(f"pid {writer.process.pid} ")
    assert second["horizon"] > first["horizon"]
    assert second["store_info"]["agent"]["is_open"] is True


@pytest.mark.parametrize(
    "command", [("verify", "-o", "json"), ("keys", "-o", "json"), ("status", "-o", "json"), ("log", "-n", "5", "-o", "json")]
)
def test_a_busy_writer_raises_no_false_alarm(writer: Writer, command: tuple[str, ...]) -> None:
    writer.start(400)
    for _ in range(5):
        result = rap_state(*command, environment=around(writer.disk))
        assert result.code == 0, result
    writer.finish()


def printed(disk: Disk, *command: str) -> str:
    """All that a call prints, with the key and without."""
    results = [rap_state(*command, environment=environment) for environment in (around(disk), {"RAP_STATE_DIR": str(disk.root)})]
    return "".join(result.out + result.err for result in results)


@pytest.mark.parametrize(
    "command", [*READING, *WRONG, *(("state", name, "-o", "json") for name in ("identity", "trust", "snapshots", "telemetry"))]
)
def test_no_command_prints_the_key(writer: Writer, command: tuple[str, ...]) -> None:
    key, out = writer.disk.key_file.read_bytes(), printed(writer.disk, *command)
    assert key.hex() not in out
    assert base64.b64encode(key).decode() not in out
    assert repr(key)[2:-1] not in out


@pytest.mark.parametrize("command", [command for command in (*READING, *WRONG) if command[0] != "show"])
def test_what_the_agent_keeps_for_itself_is_shown_only_where_it_is_asked_for(writer: Writer, command: tuple[str, ...]) -> None:
    out = printed(writer.disk, *command)
    assert CANARY not in out
    assert CANARY.encode().hex() not in out
    assert CANARY in printed(writer.disk, "state", "telemetry")


def test_a_second_writer_is_refused_and_told_who_is_at_work(writer: Writer) -> None:
    root, key_file = str(writer.disk.root), str(writer.disk.key_file)
    again = rap_state("init", "-D", root, "--key-file", key_file)
    assert again.code == 0
    assert "already" in again.out
