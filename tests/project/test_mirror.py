"""Every module has a test file of its own: `tests/journal/test_frames.py` tests `rap_journal/frames.py`, and so on.

Rules this file keeps:

- The tests of a package lie in one folder. Modules of its `testing` package have theirs beside the others; every other folder of a
  package has a folder of its own there.
- A module without a test file is an exception, and says where its rules are tested instead.
"""

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.project.source_files import FOLDERS, ROOT, package_folder, python_files, relative, tree_of

EXCEPTIONS: dict[str, str] = {
    "projections/rap_projections/key_providers/anchors.py": "The contract of all anchors is tests/contracts/test_anchor.py.",
    "tools/rap_tools/__main__.py": "It calls main and nothing else: tests/tools/test_main.py starts it.",
    "projections/rap_projections/testing/memory_anchor.py": "It keeps the contract in tests/contracts/test_anchor.py.",
}
"""Modules without a test file of their own, and why."""


def mirror_of(path: Path) -> str:
    """The test file of the module at `path`."""
    package = next(name for name in FOLDERS if path.is_relative_to(package_folder(name)))
    *folders, name = path.relative_to(package_folder(package)).parts
    place = [folder for folder in folders if folder != "testing"]
    return "/".join(["tests", FOLDERS[package], *place, f"test_{name}"])


def modules(package: str) -> list[Path]:
    """The modules of a package; what only gathers the names of others is none."""
    return [path for path in python_files(package) if path.name != "__init__.py"]


@pytest.mark.parametrize("package", FOLDERS)
def test_every_module_has_a_test_file_of_its_own(package: str) -> None:
    untested = [relative(path) for path in modules(package) if not (ROOT / mirror_of(path)).exists()]
    assert sorted(set(untested) - EXCEPTIONS.keys()) == []


def test_no_two_modules_share_a_test_file() -> None:
    shared = Counter(mirror_of(path) for package in FOLDERS for path in modules(package))
    assert [name for name, count in shared.items() if count > 1] == []


def test_an_exception_names_a_module_that_is_there_and_has_no_test_file() -> None:
    present = {relative(path): path for package in FOLDERS for path in modules(package)}
    assert sorted(EXCEPTIONS.keys() - present.keys()) == []
    assert [name for name in EXCEPTIONS if (ROOT / mirror_of(present[name])).exists()] == []
    assert all(reason.endswith(".") for reason in EXCEPTIONS.values())


@pytest.mark.parametrize("package", FOLDERS)
def test_what_only_gathers_names_does_nothing_else(package: str) -> None:
    """An `__init__` that did something would be a module, and would need a test file."""
    for path in set(python_files(package)) - set(modules(package)):
        for node in tree_of(path).body:
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            is_list = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            assert is_docstring or is_list or isinstance(node, ast.Import | ast.ImportFrom), f"{relative(path)}:{node.lineno}"


@pytest.mark.parametrize(
    ("module", "mirror"),
    [
        ("journal/rap_journal/frames.py", "tests/journal/test_frames.py"),
        ("journal/rap_journal/testing/survival.py", "tests/journal/test_survival.py"),
        ("tools/rap_tools/commands/log.py", "tests/tools/commands/test_log.py"),
    ],
)
def test_the_mirror_of_a_module_is_where_its_reader_looks(module: str, mirror: str) -> None:
    assert mirror_of(ROOT / module) == mirror
