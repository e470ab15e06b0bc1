"""The reading order in a package's README is the import order: a file imports only files that stand above it."""

import ast
import re
import sys
from pathlib import Path

import pytest

from tests.project.source_files import FOLDERS, ROOT, imports_of, module_name, python_files, relative, tree_of

HEADING = re.compile(r"^#+ Reading order of `(?P<folder>[\w/]+)`$")
ITEM = re.compile(r"^\d+\. `(?P<file>[\w/]+\.py)`: \S")


def reading_order(package: str) -> list[str]:
    """Paths relative to the checkout, as the README of `package` lists them."""
    folder, listed, inside = f"{FOLDERS[package]}/{package}", [], False
    for line in (ROOT / FOLDERS[package] / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = HEADING.match(line)
            inside = heading is not None and heading["folder"] == folder
        elif inside and (item := ITEM.match(line)):
            listed.append(f"{folder}/{item['file']}")
    return listed


def whole_order() -> list[str]:
    return [path for package in FOLDERS for path in reading_order(package)]


def own_imports(path: Path) -> list[tuple[int, str]]:
    """Line and path of each file of this project that `path` imports."""
    by_module = {module_name(file): relative(file) for file in python_files(*FOLDERS)}
    found = []
    for line, module, name in imports_of(path):
        target = by_module.get(f"{module}.{name}") or by_module.get(module)
        if target:
            found.append((line, target))
    return found


def suggested_order(package: str) -> list[str]:
    """An order that would pass, nearest to the one listed; files of a cycle are left out."""
    listed = reading_order(package)
    waiting = sorted(map(relative, python_files(package)), key=lambda p: (listed.index(p) if p in listed else len(listed), p))
    needs = {path: {target for _, target in own_imports(ROOT / path)} & set(waiting) - {path} for path in waiting}
    order: list[str] = []
    while ready := next((path for path in waiting if needs[path] <= set(order)), None):
        order.append(ready)
        waiting.remove(ready)
    return order


def list_item(path: str) -> str:
    """What the README could say of a file: its name in the package, and the first line of its docstring."""
    purpose = (ast.get_docstring(tree_of(ROOT / path)) or "?").splitlines()[0].rstrip(".:")
    return f"`{path.split('/', 2)[2]}`: {purpose}."


@pytest.mark.parametrize("package", FOLDERS)
def test_the_reading_order_lists_every_file_once(package: str) -> None:
    listed, present = reading_order(package), {relative(path) for path in python_files(package)}
    order = "\n".join(f"{number}. {list_item(path)}" for number, path in enumerate(suggested_order(package), 1))
    assert sorted(listed) == sorted(present), (
        f"{FOLDERS[package]}/README.md lists what is not there: {sorted(set(listed) - present)}; "
        f"lacks: {sorted(present - set(listed))}. A list that passes:\n{order}"
    )


def test_a_file_imports_only_files_that_stand_above_it() -> None:
    order = {path: place for place, path in enumerate(whole_order())}
    upward = [
        f"{path}:{line} imports {target}"
        for path, place in order.items()
        if (ROOT / path).exists()
        for line, target in own_imports(ROOT / path)
        if target != path and order.get(target, place) >= place
    ]
    assert upward == []


@pytest.mark.parametrize("package", FOLDERS)
def test_there_are_no_import_cycles(package: str) -> None:
    in_cycles = {relative(path) for path in python_files(package)} - set(suggested_order(package))
    assert in_cycles == set(), "these import one another, or what does"


@pytest.mark.parametrize("package", FOLDERS)
def test_a_package_never_imports_one_of_a_higher_floor(package: str) -> None:
    higher = list(FOLDERS)[list(FOLDERS).index(package) + 1 :]
    wrong = [
        f"{relative(path)}:{line} imports {module}"
        for path in python_files(package)
        for line, module, _ in imports_of(path)
        if module.partition(".")[0] in higher
    ]
    assert wrong == []


def test_nothing_is_imported_for_type_checking_only() -> None:
    word = "TYPE_" + "CHECKING"
    used = [
        f"{relative(path)}:{node.lineno}"
        for path in python_files(*FOLDERS)
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.Name) and node.id == word)
        or (isinstance(node, ast.Attribute) and node.attr == word)
        or (isinstance(node, ast.ImportFrom) and any(alias.name == word for alias in node.names))
    ]
    assert used == []


def test_no_module_has_the_name_of_a_standard_library_module() -> None:
    names = {relative(path) for path in python_files(*FOLDERS) if path.stem in sys.stdlib_module_names}
    assert names == set()
