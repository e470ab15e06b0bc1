"""Every check has a test that fails without it: the list is complete, and for the rules themselves it is tried here and now."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Tally
from tests.mutations.removed_checks import FOLDERS, ROOT, every_check, listed

TRIED_HERE = ("document_case", "document_rules", "verification", "bundle_verification", "trust_in_force")
"""The rules of trust. The whole list is tried by ``python -m tests.mutations.removed_checks`` (some minutes)."""


def function_of(test: str) -> ast.FunctionDef:
    """The function behind the id of a test."""
    path, _, name = test.partition("[")[0].partition("::")
    functions = [node for node in ast.walk(ast.parse(Path(ROOT, path).read_text())) if isinstance(node, ast.FunctionDef)]
    return next(node for node in functions if node.name == name)


def test_every_check_in_the_code_is_listed_with_a_test_that_notices_its_removal(tally: Tally) -> None:
    """A new check needs a test, and a run of ``python -m tests.mutations.removed_checks``."""
    checks = listed()
    assert list(checks) == list(every_check())
    assert [str(check) for check, test in checks.items() if test == "-"] == []
    tally("checks that may be removed", {"listed with the test that notices": len(checks)})


def test_every_test_that_stands_for_a_check_names_the_mutation() -> None:
    tests = {test.partition("[")[0]: test for test in listed().values()}
    silent = [name for name, test in sorted(tests.items()) if "Mutation: " not in (ast.get_docstring(function_of(test)) or "")]
    assert silent == []


@pytest.mark.slow
def test_removing_any_rule_of_trust_makes_its_test_fail(tally: Tally) -> None:
    path = {"PYTHONPATH": ":".join(FOLDERS), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.mutations.removed_checks", *TRIED_HERE]
    run = subprocess.run(command, cwd=ROOT, env=path, capture_output=True, text=True, timeout=300, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    count = sum(check.module.rpartition(".")[2] in TRIED_HERE for check in listed())
    assert run.stdout == f"{count} checks removed in turn, {count} noticed\n"
    tally("rules of trust, removed in turn", {"noticed": count})
