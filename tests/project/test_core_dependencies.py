"""The core imports little, and opens each door to the world in one file only."""

import ast
import re
import sys
import tomllib

from tests.project.source_files import CORE, FOLDERS, ROOT, Import, imports_of, module_name, python_files, relative, top, tree_of

THIRD_PARTY = {"cbor2", "cryptography", "sortedcontainers"}

PYTEST_PLUGIN = "projections/rap_projections/testing/pytest_plugin.py"
"""The only file that may use pytest besides: it is pytest that imports it."""

DOORS = {
    "os": {f"journal/rap_journal/os_{name}.py" for name in ("files", "filesystem", "memory_file", "surroundings")},
    "fcntl": {"journal/rap_journal/file_control.py"},
    "ctypes": {"journal/rap_journal/kernel_keyring.py"},
    "platform": {"journal/rap_journal/kernel_keyring.py"},
    "importlib": {"projections/rap_projections/key_providers/extras.py"},
    "time": {"journal/rap_journal/clock.py"},
    "random": set(),
    "secrets": {"projections/rap_projections/store.py"},
    "uuid": set(),
}
"""Modules that reach the file system, the clock, randomness, the kernel or other libraries, and the only files that may import them.

Elsewhere a file system, a clock and randomness come in as parameters; the store fills in the machine's own as defaults. What a key
provider needs beyond the three dependencies is loaded by `load_extra`, from a closed table, when it is used.
"""

WALL_CLOCK_CALLS = {"now", "utcnow", "today"}


def test_the_core_imports_only_the_standard_library_its_three_dependencies_and_itself() -> None:
    allowed = sys.stdlib_module_names | THIRD_PARTY | set(CORE)
    foreign = [
        f"{relative(path)}:{found.line} imports {top(found)}"
        for path in python_files(*CORE)
        for found in imports_of(path)
        if top(found) not in allowed and (relative(path), top(found)) != (PYTEST_PLUGIN, "pytest")
    ]
    assert foreign == []


def test_nothing_imports_the_plugin_for_pytest() -> None:
    plugin = module_name(ROOT / PYTEST_PLUGIN)
    assert [relative(path) for path in python_files(*FOLDERS) for found in imports_of(path) if plugin in _names(found)] == []


def _names(found: Import) -> set[str]:
    return {found.module, f"{found.module}.{found.name}"}


def test_the_distribution_requires_exactly_the_three_dependencies() -> None:
    required = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert {re.split(r"[<>=!~;\[ ]", line)[0] for line in required} == THIRD_PARTY


def test_files_clock_and_randomness_are_reached_through_their_doors_only() -> None:
    elsewhere = [
        f"{relative(path)}:{found.line} imports {top(found)}"
        for path in python_files(*CORE)
        for found in imports_of(path)
        if top(found) in DOORS and relative(path) not in DOORS[top(found)]
    ]
    assert elsewhere == []


def test_no_file_but_the_clock_asks_datetime_for_the_present() -> None:
    asked = [
        f"{relative(path)}:{node.lineno}"
        for path in python_files(*CORE)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in WALL_CLOCK_CALLS
        and ast.unparse(node.func.value) in ("datetime", "date", "datetime.datetime", "datetime.date")
    ]
    assert asked == []


def test_every_door_names_a_file_of_the_core() -> None:
    present = {relative(path) for path in python_files(*CORE)}
    assert {path for paths in DOORS.values() for path in paths} <= present
