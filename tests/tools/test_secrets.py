"""No command prints a secret, in any form of output, with the key or without, right or wrong (trust, 20)."""

import hashlib
from contextlib import suppress
from pathlib import Path

import pytest

from rap_projections.refusals import RefusedError
from rap_projections.testing.entries import make_service
from rap_projections.testing.furnishing import furnish
from rap_tools.command_line import COMMANDS
from tests.canary import Canary
from tests.conftest import Tally
from tests.projections.test_secrets import PLANTED, keys_in, private_key_of, text
from tests.tools.command import CLUSTER, Disk, new_disk
from tests.tools.demo_kit import DemoRun

CLASSES = ("identity", "trust", "snapshots", "updates", "services", "health", "peers", "routes", "telemetry", "agent")
CALLS = [
    ("status",),
    ("keys",),
    *(("state", name) for name in CLASSES),
    ("state", "identity", "--at", "HEAD~2"),
    ("log",),
    ("log", "--agent"),
    ("log", "-n", "3", "-r"),
    ("show", "HEAD", "@1", "@5"),
    ("show", "--agent", "HEAD"),
    ("verify",),
    ("fabric", "peers", "node-1", "-c", CLUSTER),
    ("completion",),
    ("log", "-k", "nonsense"),
    ("state", "peers/x/y"),
    ("show", "@99999"),
    ("verify", "--key-file", "/absent"),
    ("log", "--bogus"),
]
CALLED_BELOW = {"demo", "init", "backup", "restore"}
"""Commands that make files, which are looked through too."""


class Case:
    """A store on disk that lived, and the secrets in it."""

    def __init__(self, folder: Path) -> None:
        self.disk: Disk = new_disk(folder)
        with self.disk.open(create=True) as store:
            cluster = furnish(store, self.disk.fabric)
            leak = make_service("svc-a")._replace(resource_refs=(f"password:{text('in a document')}",))
            with suppress(RefusedError):
                cluster.activate(self.disk.fabric.services([leak]))
            cluster.telemetry.record("probe", text("in telemetry"))
            cluster.hints.put("token", text("in a hint"), ttl_s=600)
            cluster.flush()
            held = keys_in(store) | private_key_of(cluster)
        planted = {name: PLANTED[name] for name in ("in a document", "in the environment")}
        self.secrets = {"key file": self.disk.key_file.read_bytes()} | held | planted
        own = {name: PLANTED[name] for name in ("in telemetry", "in a hint")}
        self.known = self.secrets | own
        self.canary, self.everything = Canary(self.secrets), Canary(self.known)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("secrets"))


def test_every_command_is_called() -> None:
    assert {command.name for command in COMMANDS} == {call[0] for call in CALLS} | CALLED_BELOW


@pytest.mark.parametrize("form", ["text", "json", "ndjson"])
@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_no_command_prints_a_secret(case: Case, call: tuple[str, ...], form: str) -> None:
    """Mutation: print a file's bytes, a key's repr, or the environment."""
    around = {"RAP_STATE_TOKEN": text("in the environment")}
    for sealed in (False, True):
        result = case.disk.rap_state(*call, "-o", form, environment=around, sealed=sealed)
        # What the agent keeps for itself is shown where it is asked for by name, and nowhere else.
        canary = case.canary if call[0] in {"state", "show"} else case.everything
        assert canary.found_in(result.out + result.err) == []


def test_what_the_agent_keeps_for_itself_is_found_where_it_is_asked_for(case: Case) -> None:
    """The canary sees: what it does not find elsewhere, it finds here."""
    found = case.everything.found_in(case.disk.rap_state("state", "telemetry", "-o", "json").out)
    assert {"in telemetry: raw", "in a hint: raw"} <= set(found)


def test_no_secret_is_in_any_file_of_the_store(case: Case, tally: Tally) -> None:
    assert case.everything.found_in_files(case.disk.root) == []
    tally("secrets, files on disk", {"looked through": sum(path.is_file() for path in case.disk.root.rglob("*"))})


@pytest.mark.parametrize("form", ["text", "json", "ndjson"])
def test_init_does_not_print_the_key_that_it_makes(tmp_path: Path, form: str) -> None:
    disk = new_disk(tmp_path)
    result = disk.rap_state("init", "-o", form)
    assert result.code == 0, result.err
    canary = Canary({"key file": disk.key_file.read_bytes()})
    assert canary.found_in(result.out + result.err) == []
    assert canary.found_in_files(disk.root) == []


@pytest.mark.parametrize("form", ["text", "json", "ndjson"])
def test_backing_up_and_restoring_print_no_secret_and_leave_none_in_a_file(case: Case, tmp_path: Path, form: str) -> None:
    """Mutation: write the content of a backup without sealing it."""
    backup, recovery = tmp_path / "node.backup", tmp_path / "recovery.key"
    new = case.disk._replace(root=tmp_path / "new", key_file=tmp_path / "new.key")
    saved = case.disk.rap_state("backup", "-O", str(backup), "--new-recovery-key", str(recovery), "-o", form)
    assert saved.code == 0, saved.err
    expect = hashlib.sha256(backup.read_bytes()).hexdigest()
    made = new.rap_state("restore", str(backup), "--recovery-key", str(recovery), "--expect", expect, "-o", form)
    assert made.code == 0, made.err
    keys = {"recovery key": recovery.read_bytes(), "new key file": new.key_file.read_bytes()}
    canary = Canary(case.known | keys)
    assert canary.found_in(saved.out + saved.err + made.out + made.err) == []
    assert (canary.found_in(backup.read_bytes()), canary.found_in_files(new.root)) == ([], [])


def test_no_secret_is_in_the_store_of_a_demonstration_that_was_killed(demo_run: DemoRun, tally: Tally) -> None:
    canary = Canary({"key file": Path(demo_run.order.key_file).read_bytes()})
    assert canary.found_in_files(demo_run.root) == []
    tally("secrets, files of the demonstration", {"looked through": sum(it.is_file() for it in demo_run.root.rglob("*"))})
