"""Removing one check from one module at a time, in a process of its own, to see whether a test notices.

Rules this file keeps:

- A check is a statement ``raise`` of a refusal, ``return`` of a sentence that a schema check answers, or the call of a function that
  checks and whose value is not used; removed, nothing is done in its place. It is found in the syntax tree, so that a check is named
  by its function, its kind and its number there, not by a line.
- No file is changed: the process imports the changed source in place of the file's.
- The test runs as it is, in a process that was forked off before any module of this project was imported.

``python -m tests.mutations.removed_checks`` tries every check of `checked_modules.MODULES` against the tests of its module and writes
which test noticed to `checks.txt`; with names of modules behind it, it tries the checks of these against the tests that `checks.txt` names.

Example::

    removed = Check("rap_projections.document_rules", "check_time", "Expired", 0)
    assert noticed(removed, ["tests/projections/test_verification.py"])
"""

import ast
import importlib.abc
import importlib.util
import io
import os
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tests.mutations.checked_modules import MODULES

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = tuple(str(ROOT / name) for name in ("journal", "projections", "tools"))
LIST = Path(__file__).with_name("checks.txt")
NO_CHECKS = {"MisuseError", "check_word", "ValueError", "TypeError", "KeyError", "AssertionError", "OSError", "FileNotFoundError"}
"""What is raised because of the caller, as a step on the way or in the system's place, and is no verdict on what was read."""

OPTIONS = ("-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore:Module already imported")
"""Where this project is installed, its plugin makes pytest rewrite the assertions of all of its modules, and load them past any finder."""


class Check(NamedTuple):
    """One check: the module, the function it stands in (with its class), what it raises or calls, and its number among the equal ones there."""

    module: str
    function: str
    refusal: str
    number: int

    def __str__(self) -> str:
        return f"{self.module}:{self.function}:{self.refusal}:{self.number}"

    @classmethod
    def parse(cls, text: str) -> "Check":
        """The check that `str` gave this text."""
        module, function, refusal, number = text.split(":")
        return cls(module, function, refusal, int(number))


class _Remover(ast.NodeTransformer):
    """Finds the checks of a module, and takes out the one that is to go."""

    def __init__(self, module: str, goal: Check | None) -> None:
        self.module, self.goal = module, goal
        self.found: list[Check] = []
        self._inside: list[str] = []
        self._counts: Counter[tuple[str, str]] = Counter()

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._enter(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._enter(node)

    def _enter(self, node: ast.ClassDef | ast.FunctionDef) -> ast.AST:
        self._inside.append(node.name)
        self.generic_visit(node)
        self._inside.pop()
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        name = _name_of(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
        return self._check(node, name) if name and name not in NO_CHECKS else node

    def visit_Return(self, node: ast.Return) -> ast.AST:
        is_sentence = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) and " " in node.value.value
        return self._check(node, "sentence") if is_sentence else node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        name = _name_of(node.value.func if isinstance(node.value, ast.Call) else None)
        is_check = name.lstrip("_").startswith(("check_", "verify_")) and name not in NO_CHECKS
        return self._check(node, name) if is_check else node

    def _check(self, node: ast.stmt, refusal: str) -> ast.AST:
        function = ".".join(self._inside)
        check = Check(self.module, function, refusal, self._counts[function, refusal])
        self._counts[function, refusal] += 1
        self.found.append(check)
        return ast.copy_location(ast.Pass(), node) if check == self.goal else node


def _name_of(expression: ast.expr | None) -> str:
    """``name`` of the expressions ``name`` and ``something.name``; otherwise nothing."""
    return expression.attr if isinstance(expression, ast.Attribute) else getattr(expression, "id", "")


def checks_of(module: str) -> list[Check]:
    """Every check of a module, in order."""
    remover = _Remover(module, None)
    remover.visit(ast.parse(_source(module)))
    return remover.found


def noticed(removed: Check, tests: Sequence[str]) -> str | None:
    """The test (node id) that fails first when the check is removed, or None when all of `tests` pass."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _run_in_child(removed, tests, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    kind, _, rest = answer.partition(" ")
    if kind not in {"failed", "passed"}:
        raise RuntimeError(f"the tests did not run without {removed}: {answer}")
    return rest if kind == "failed" else None


def _source(module: str) -> str:
    spec = PathFinder.find_spec(module.partition(".")[0], list(FOLDERS))
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0], *module.split(".")[1:]).with_suffix(".py").read_text(encoding="utf-8")


class _Loader(SourceFileLoader):
    """Loads a module without one check."""

    removed: Check

    def get_code(self, fullname: str) -> Any:
        remover = _Remover(fullname, self.removed)
        tree = remover.visit(ast.parse(self.get_data(self.path)))
        assert self.removed in remover.found, f"there is no check {self.removed}"
        return compile(ast.fix_missing_locations(tree), self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the changed module, and leaves every other to the usual finders."""

    def __init__(self, removed: Check) -> None:
        self._removed = removed

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The specification of the changed module."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname == self._removed.module else None
        if spec is not None and spec.origin is not None:
            loader = _Loader(fullname, spec.origin)
            loader.removed = self._removed
            spec.loader = loader
        return spec


class _FirstFailure:
    """A plugin of pytest that notes which test failed first, and how many ran."""

    def __init__(self) -> None:
        self.failed = ""
        self.ran = 0

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note the outcome of a test."""
        self.ran += report.when == "call"
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        """Note a file of tests that could not be imported: it noticed, too."""
        if report.failed and not self.failed:
            self.failed = report.nodeid


def _run_in_child(removed: Check, tests: Sequence[str], writing: int) -> None:
    """Never returns."""
    import pytest

    answer = "broken"
    try:
        for name in [
            name for name in sys.modules if name.partition(".")[0] in {"rap_journal", "rap_projections", "rap_tools", "tests"}
        ]:
            del sys.modules[name]
        sys.path[:0] = [*FOLDERS, str(ROOT)]
        sys.meta_path.insert(0, _Finder(removed))
        os.chdir(ROOT)
        plugin = _FirstFailure()
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
            code = pytest.main([*OPTIONS, *tests], plugins=[plugin])
        if not isinstance(getattr(sys.modules.get(removed.module), "__loader__", None), _Loader):
            answer = "broken: the tests ran with another source of the module, or without it"
        elif plugin.failed:
            answer = f"failed {plugin.failed}"
        elif code == 0 and plugin.ran:
            answer = "passed "
        else:
            answer = f"broken {code} {out.getvalue()[-2000:]}"
    except BaseException:  # noqa: BLE001 - the child says what became of it, whatever it was, and ends.
        answer = f"broken {traceback.format_exc()}"
    finally:
        os.write(writing, answer.encode()[:60_000])
        os._exit(0)


def every_check() -> Iterator[Check]:
    """Every check of `MODULES`."""
    for module in MODULES:
        yield from checks_of(module)


def listed() -> dict[Check, str]:
    """The checks of `checks.txt`, and the test that notices each; "-" where none does."""
    lines = [line.split(" ", 1) for line in LIST.read_text(encoding="utf-8").splitlines()]
    return {Check.parse(name): test for name, test in lines}


def _main(modules: Sequence[str]) -> None:
    import hypothesis  # noqa: F401 - what is imported before the fork need not be imported after it
    import pytest  # noqa: F401

    answers = {}
    if modules:
        answers = {
            check: noticed(check, [test]) for check, test in listed().items() if check.module.rpartition(".")[2] in modules
        }
    else:
        for check in every_check():
            answers[check] = noticed(check, MODULES[check.module])
        LIST.write_text("".join(f"{check} {test or '-'}\n" for check, test in answers.items()), encoding="utf-8")
    unnoticed = [f"nothing notices that {check} is gone\n" for check, test in answers.items() if test is None]
    sys.stdout.write("".join(unnoticed) + f"{len(answers)} checks removed in turn, {len(answers) - len(unnoticed)} noticed\n")


if __name__ == "__main__":
    _main(sys.argv[1:])
