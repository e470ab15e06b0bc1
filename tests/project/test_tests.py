"""Every test can fail: it asserts, expects an error, or calls a helper that does."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.project.source_files import FOLDERS, ROOT, python_files, relative, tree_of

ALLOWED: dict[str, str] = {}
"""Tests, as `path::name`, that fail in another way than by a check of their own, and in which."""

CHECKS = {"raises", "warns", "fail", "assert_outcomes"}
"""What of pytest fails a test."""


def files_of_tests() -> list[Path]:
    """All files that tests are made of, helpers included."""
    return sorted((ROOT / "tests").rglob("*.py"))


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """All functions and methods of a tree, inner ones included."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def called_by(function: ast.AST) -> set[str]:
    """The names of what a function calls, without what stands before a dot, and of what it hands to others to call."""
    names = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            names.add(node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""))
            names |= {argument.id for argument in node.args if isinstance(argument, ast.Name)}
    return names


def checks_itself(function: ast.AST) -> bool:
    """Whether something in a function may fail on purpose."""
    return any(isinstance(node, ast.Assert | ast.Raise) for node in ast.walk(function)) or bool(CHECKS & called_by(function))


def checking_names(trees: list[ast.Module], products: set[str]) -> set[str]:
    """Names of helpers that check, or that call one that does. What `products` has, too, counts for nothing: its errors are no checks."""
    helpers = [function for tree in trees for function in functions_of(tree) if not function.name.startswith("test_")]
    checking = {helper.name for helper in helpers if checks_itself(helper)}
    while more := {helper.name for helper in helpers if helper.name not in checking and called_by(helper) & checking}:
        checking |= more
    return checking - products


@cache
def all_trees() -> dict[Path, ast.Module]:
    return {path: tree_of(path) for path in files_of_tests()}


@cache
def checking() -> set[str]:
    """The names of all helpers that check."""
    products = {function.name for path in python_files(*FOLDERS) for function in functions_of(tree_of(path))}
    return checking_names(list(all_trees().values()), products)


def without_check(tree: ast.Module, checking: set[str]) -> list[str]:
    """Names of the tests of a file in which nothing can fail."""
    tests = [function for function in functions_of(tree) if function.name.startswith(("test_", "bench_"))]
    return [test.name for test in tests if not checks_itself(test) and not called_by(test) & checking]


def test_every_test_can_fail() -> None:
    found = {f"{relative(path)}::{name}" for path, tree in all_trees().items() for name in without_check(tree, checking())}
    assert sorted(found - ALLOWED.keys()) == []
    assert sorted(ALLOWED.keys() - found) == [], "these check by now, or are gone"
    assert all(reason.endswith(".") for reason in ALLOWED.values())


@pytest.mark.parametrize(
    ("body", "fails"),
    [
        ("assert 1", True), ("with pytest.raises(ValueError): f()", True), ("pytest.fail('no')", True), ("helper()", True),
        ("kit.helper()", True), ("given(helper)", True), ("indirect()", True), ("f()", False), ("kit.verify()", False),
        ("raises = 1", False), ("pass", False),
    ],
)  # fmt: skip
def test_what_counts_as_a_check(body: str, fails: bool) -> None:
    tree = ast.parse(
        f"def helper():\n  assert x\ndef indirect():\n  helper()\ndef verify():\n  assert x\ndef test_it():\n  {body}\n"
    )
    assert (without_check(tree, checking_names([tree], {"verify"})) == []) is fails
