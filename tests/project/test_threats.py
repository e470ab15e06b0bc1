"""The table of threats in the README: every line names a test that is there."""

import ast
import re
from pathlib import Path

import pytest

from tests.project.source_files import ROOT

ROW = re.compile(r"^\| (?P<threat>[^|]+) \| (?P<answer>[^|]+) \| `(?P<path>[\w/]+\.py)::(?P<test>\w+)` \|$")

ASKED = {
    "stolen disk", "older backup restored", "cloned node", "clock set back", "clock set forward", "revoked signer", "mix-and-match",
    "withheld updates", "malicious snapshot", "moved files", "hostile workload",
}  # fmt: skip
"""Threats that the table has to answer."""


def rows() -> list[re.Match[str]]:
    """The lines of the table, without its head."""
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- threats:")[2].partition("<!-- end of threats -->")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    return [found for line in lines if (found := ROW.match(line)) or pytest.fail(f"no row of the table: {line}")]


def test_every_threat_has_an_answer() -> None:
    assert ASKED - {row["threat"] for row in rows()} == set()


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["threat"])
def test_the_test_that_shows_it_is_there(row: re.Match[str]) -> None:
    path = Path(ROOT, "tests", row["path"])
    names = {node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)}
    assert row["test"] in names
