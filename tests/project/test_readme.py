"""What the README promises a newcomer: the example runs as it stands, and the commands it names exist."""

import re
import sys
from pathlib import Path

import pytest

from rap_projections.testing import Fabric
from rap_tools.command_line import COMMANDS
from rap_tools.exit_codes import ExitCode
from tests.projections.identity_kit import working
from tests.projections.tls_kit import answered, second

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
STORE = ROOT / "projections" / "README.md"
PAGES = (README, STORE, ROOT / "journal" / "README.md", ROOT / "tools" / "README.md")
BYTES_MAX = 16_384
"""What is read in one go, before anything else."""

EXAMPLE = re.compile(r"<!-- example: embedding -->\n```python\n(.*?)```", re.DOTALL)
CONNECTION = re.compile(r"<!-- example: connection -->\n```python\n(.*?)```", re.DOTALL)


def test_the_embedding_example_runs_as_it_stands(tmp_path: Path) -> None:
    example = EXAMPLE.search(README.read_text())
    assert example is not None
    assert len(example[1].splitlines()) <= 25
    fabric = Fabric("eu-west-1")
    names: dict[str, object] = {
        "root": tmp_path / "state",
        "key_file": tmp_path / "node.key",
        "bundle": fabric.bootstrap,
        "bundle_sha256": fabric.fingerprint,
        "document": fabric.routes([("node-42", ("node-17",))]),
        "directory": fabric.peers(["node-17", "node-18", "node-42"]),
    }
    exec(compile(example[1], str(README), "exec"), names)  # noqa: S102  # the text of the README is this repository's own
    assert names["receipt"].durable  # type: ignore[attr-defined]  # the example leaves a Receipt behind
    route = names["route"]
    assert route is not None
    assert route.path == ("node-17",)  # type: ignore[attr-defined]  # and a SelectedRoute


@pytest.mark.skipif(sys.platform != "linux", reason="sealed files in memory are Linux's")
def test_the_connection_example_runs_over_a_pair_of_sockets() -> None:
    example = CONNECTION.search(STORE.read_text())
    assert example is not None
    node = working()
    with answered(second(node.fabric, "node-2").cluster) as (connection, outcome):
        names: dict[str, object] = {"cluster": node.cluster, "connection": connection}
        exec(compile(example[1], str(STORE), "exec"), names)  # noqa: S102  # as above
    assert names["reply"] == b"pong:ping"
    assert [peer.node_id for peer in outcome] == ["node-17"]


def test_every_make_target_the_readme_names_exists() -> None:
    makefile = (README.parent / "Makefile").read_text()
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README.read_text(), re.MULTILINE))
    assert {"demo", "test", "check", "bench"} <= named
    assert [target for target in sorted(named) if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_the_first_page_is_short_and_says_things_in_the_order_in_which_a_newcomer_asks() -> None:
    text = README.read_text()
    assert len(text.encode()) <= BYTES_MAX
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "Two commands", "Embedding", "How the house is laid out", "The command", "Figures", "What it protects against",
        "What it does not do", "License",
    ]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, heading = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^a-z0-9_ -]", "", title.lower()).replace(" ", "-") for title in titles}, target


def test_every_command_is_named_on_the_first_page_and_explained_on_its_own() -> None:
    for page in (README, ROOT / "tools" / "README.md"):
        named = set(re.findall(r"`([a-z]+)[ `]", page.read_text()))
        assert [command.name for command in COMMANDS if command.name not in named] == [], page


def test_every_exit_code_is_in_the_table() -> None:
    table = re.findall(r"^\| (\d+) \| .+ \| (\d+) \| .+ \|$", (ROOT / "tools" / "README.md").read_text(), re.MULTILINE)
    assert {int(code) for row in table for code in row} == set(ExitCode)
