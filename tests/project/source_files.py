"""The source files of the packages and what they import, read without importing any of them.

Example::

    for path in python_files("rap_journal"):
        print(module_name(path), [found.module for found in imports_of(path)])
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

FOLDERS = {"rap_journal": "journal", "rap_projections": "projections", "rap_tools": "tools"}
"""Each package and the top-level folder it lies in, lowest floor first: a package uses only those before it."""

CORE = ("rap_journal", "rap_projections")


class Import(NamedTuple):
    """One imported name: `import module`, or `from module import name`."""

    line: int
    module: str
    name: str | None


def package_folder(package: str) -> Path:
    """The folder that holds the source of `package`."""
    return ROOT / FOLDERS[package] / package


def python_files(*packages: str) -> list[Path]:
    """All source files of `packages`, sorted."""
    return sorted(path for package in packages for path in package_folder(package).rglob("*.py"))


def relative(path: Path) -> str:
    """The path as messages and the reading order show it: relative to the checkout."""
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    """The dotted name `path` is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of `path`."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports_of(path: Path) -> Iterator[Import]:
    """Every import of `path`, also those inside functions."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{relative(path)}:{node.lineno} is a relative import; write the whole name"
            yield from (Import(node.lineno, node.module or "", alias.name) for alias in node.names)


def top(found: Import) -> str:
    """The distribution-level name of an import: `cryptography` for `cryptography.x509`."""
    return found.module.partition(".")[0]
