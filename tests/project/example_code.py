"""The examples in the docstrings of modules, made into one file that a type checker can read.

Rules this file keeps:

- An example is the block behind ``Example::`` (or another line that ends so and begins with "Example"). One that begins
  as one of `COMMANDS` does is typed into a shell.
- A name that the example does not make is what the module defines. A class, a constant, and a function that is called, may be defined
  elsewhere in the project, too. Another name is given, such as ``root``: of the type that `GIVEN` says, and otherwise of any.
- ``...`` among the arguments of a call stands for all that are left out.

Example::

    text = as_module([found for path in python_files("rap_journal") if (found := example_of(path))])
"""

import ast
import builtins
import textwrap
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.project.source_files import FOLDERS, imports_of, module_name, python_files, relative, tree_of

COMMANDS = ("rap-state ", "source <(", "python -m ")

LIBRARY = {"suppress": "contextlib", "ExitStack": "contextlib", "Path": "pathlib", "NamedTuple": "typing"}
"""Names of the standard library that examples use as if imported. Modules are imported by their own names."""

MODULES = {"errno", "secrets"}

GIVEN = {
    "store": "rap_projections.store.NodeStore",
    "cluster": "rap_projections.cluster.ClusterState",
    "filesystem": "rap_journal.testing.MemoryFileSystem",
    "clock": "rap_journal.testing.ManualClock",
    "fabric": "rap_projections.testing.Fabric",
    "kit": "rap_projections.testing.MemoryStore",
    "journal": "rap_journal.journal.Journal",
}
"""What is meant by names that examples of the core are given, where a type says so."""


class Example(NamedTuple):
    """One example: the module it stands in, and its lines without indentation."""

    module: str
    path: str
    code: str

    @property
    def is_command(self) -> bool:
        """Whether it is typed into a shell."""
        return self.code.startswith(COMMANDS)


def example_of(path: Path) -> Example | None:
    """The example of the module at `path`; None where it has none."""
    lines = (ast.get_docstring(tree_of(path)) or "").splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("Example") and line.endswith("::")), None)
    if start is None:
        return None
    rest = lines[start + 2 :]
    end = next((number for number, line in enumerate(rest) if line and not line.startswith(" ")), len(rest))
    return Example(module_name(path), relative(path), textwrap.dedent("\n".join(rest[:end])).strip())


def as_module(examples: list[Example]) -> str:
    """Source text with a function for each example, in order."""
    parts = ["from typing import Any\n"]
    parts += [_as_function(number, example) for number, example in enumerate(examples)]
    return "\n".join(parts)


def _as_function(number: int, example: Example) -> str:
    tree = _Completer().visit(ast.parse(example.code))
    loaded = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    imported, given = [], []
    for name in sorted({node.id for node in loaded}):
        if hasattr(builtins, name) or _is_made(name, tree):
            continue
        home = _home_of(name, example.module, is_called=name in called)
        if home is None:
            given.append(f"{name}: {'Any' if example.module.startswith('rap_tools') else GIVEN.get(name, 'Any')}")
        else:
            imported.append(f"import {name}" if home == name else f"from {home} import {name}")
    homes = sorted({kind.rpartition(".")[0] for kind in GIVEN.values() if any(it.endswith(f": {kind}") for it in given)})
    body = textwrap.indent("\n".join((*imported, ast.unparse(tree))), "    ")
    return "\n".join(
        [
            *(f"import {home}" for home in homes),
            f"async def example_{number}({', '.join(given)}) -> Any:  # {example.path}",
            body,
            "",
        ]
    )


class _Completer(ast.NodeTransformer):
    """Turns ``...`` among the arguments of a call into arguments that fit whatever is missing."""

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if any(_is_ellipsis(argument) for argument in node.args):
            node.args = [argument for argument in node.args if not _is_ellipsis(argument)]
            node.keywords.append(ast.keyword(None, ast.Name("others", ast.Load())))
        for keyword in node.keywords:
            if _is_ellipsis(keyword.value):
                keyword.value = ast.Name("others", ast.Load())
        return node


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _is_made(name: str, tree: ast.Module) -> bool:
    """Whether the example makes `name` before it uses it."""

    def first(kind: type[ast.expr_context]) -> list[int]:
        return [
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, kind)
        ]

    made = first(ast.Store)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            made.append(node.lineno)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            made += [node.lineno for alias in node.names if name == (alias.asname or alias.name)]
    return bool(made) and min(made) <= min(first(ast.Load), default=min(made))


def _home_of(name: str, module: str, *, is_called: bool) -> str | None:
    """The module that defines `name`: the example's own, the one that this imports it from, or else the only one; None where it is given."""
    if name in MODULES:
        return name
    if name.islower() and not is_called:
        return None
    homes = _definitions().get(name, [])
    if module in homes:
        return module
    path = next(path for path in python_files(*FOLDERS) if module_name(path) == module)
    imported = [found.module for found in imports_of(path) if found.name == name]
    return next(iter(imported), None) or LIBRARY.get(name) or (homes[0] if len(homes) == 1 else None)


@cache
def _definitions() -> dict[str, list[str]]:
    """Modules that define a public name at the top."""
    found: dict[str, list[str]] = {}
    for path in python_files(*FOLDERS):
        for node in tree_of(path).body:
            targets = (
                [target.id for target in node.targets if isinstance(target, ast.Name)] if isinstance(node, ast.Assign) else []
            )
            targets += [node.target.id] if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else []
            targets += [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            for name in targets:
                found.setdefault(name, []).append(module_name(path))
    return found
