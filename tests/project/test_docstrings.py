"""Every public module, class, function and method of the core says what it means."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project.source_files import CORE, python_files, relative, tree_of

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public_definitions(body: list[ast.stmt]) -> Iterator[Definition]:
    """Public classes and functions of a module or class body, and those inside public classes."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_") and not repeats_another(node):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body)


def repeats_another(node: Definition) -> bool:
    """True for an overload or a setter, which the function of the same name documents."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(name.endswith(("overload", ".setter")) for name in decorators)


@pytest.mark.parametrize("package", CORE)
def test_every_public_name_has_a_docstring(package: str) -> None:
    silent = [
        f"{relative(path)}:{node.lineno} {node.name}"
        for path in python_files(package)
        for node in public_definitions(tree_of(path).body)
        if not ast.get_docstring(node)
    ]
    assert silent == []


@pytest.mark.parametrize("path", python_files(*CORE), ids=relative)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(tree_of(path))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":"))
