"""What a module defines at its top is used, and no file or function has grown past what a reader can hold."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.project.source_files import FOLDERS, ROOT, python_files, relative, tree_of

UNUSED: dict[str, str] = {
    "CLASS_COUNT_MAX": "FORMAT.md takes it from here, for whoever reads the format.",
    "SEGMENT_BYTES_MIN": "FORMAT.md takes it from here, for whoever reads the format.",
    "decide_current": "No call takes what runs without having been installed through this store yet.",
    "list_documents_for": "The tests tell keys from certificates by it.",
    "remove_key": "The tests take out of the kernel's keyring what they put in.",
}
"""What no package uses, and why it is there."""

LINES_MAX = 400
LONG: dict[str, str] = {
    "projections/rap_projections/refusals.py": "One table: a class for each reason of a refusal.",
    "projections/rap_projections/testing/wounds.py": "One table: a function for each wound.",
    "tests/contracts/test_filesystem.py": "One contract.",
    "tests/journal/test_committer.py": "Who leads, who waits and who is told, in one set of fixtures.",
    "tests/journal/test_deterministic_cbor.py": "One table of what is taken and refused.",
    "tests/journal/test_memory_filesystem.py": "One file system that forgets, operation by operation.",
    "tests/journal/test_recovery.py": "One table of wounds.",
    "tests/journal/test_verify.py": "One table of findings.",
    "tests/journal/test_verify_files.py": "One table of findings.",
    "tests/journal/test_verify_segments.py": "One table of findings.",
    "tests/projections/test_certificates.py": "One table of certificates that are refused.",
    "tests/projections/test_peers.py": "One class of state, event by event.",
    "tests/projections/test_release.py": "One update, and all ways back from it.",
    "tests/projections/test_routes.py": "One class of state, event by event.",
    "tests/projections/test_snapshot_decisions.py": "One class of state, decision by decision.",
    "tests/projections/test_verification.py": "One table of rules.",
    "tests/projections/test_workload.py": "One boundary, call by call.",
}
"""Files of more lines than that, and what holds each together."""


def defined(tree: ast.Module) -> set[str]:
    """Names that a module defines at its top; what a decorator registers is used by that."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.decorator_list:
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("__")}


def test_what_a_module_defines_is_used_by_a_package_or_says_why_not() -> None:
    words: Counter[str] = Counter()
    for path in python_files(*FOLDERS):
        words.update(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    unused = {name for path in python_files(*FOLDERS) for name in defined(tree_of(path)) if words[name] == 1}
    assert sorted(unused - UNUSED.keys()) == []
    assert sorted(UNUSED.keys() - unused) == [], "these are used by now, or gone"


def sources() -> list[Path]:
    return [*python_files(*FOLDERS), *sorted((ROOT / "tests").rglob("*.py"))]


def test_no_file_is_longer_than_its_reader_can_hold() -> None:
    long = {relative(path) for path in sources() if len(path.read_text(encoding="utf-8").splitlines()) > LINES_MAX}
    assert sorted(long - LONG.keys()) == [], (
        f"past {LINES_MAX} lines there are usually two subjects: find the one that wants a name"
    )
    assert sorted(LONG.keys() - long) == [], "these are short by now, or gone"


@pytest.mark.parametrize("package", FOLDERS)
def test_a_function_fits_on_a_screen(package: str) -> None:
    """40 lines and its docstring; signatures with an argument a line count, too."""
    long = []
    for path in python_files(package):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef):
                docstring = (ast.get_docstring(node) or "").count("\n")
                lines = (node.end_lineno or 0) - node.lineno - docstring
                long += [f"{relative(path)}:{node.name} has {lines} lines"] if lines > 41 else []
    assert long == []
