"""The table of errors in projections/README.md is the errors there are: every public one, with its action and exit code."""

import importlib
import re

from rap_journal.errors import StateStoreError
from tests.project.source_files import CORE, ROOT, module_name, python_files

ROW = re.compile(r"^\| `(?P<name>\w+)` \| .+ \| `(?P<action>\w+)` \| (?P<exit_code>\d+) \|$", re.MULTILINE)


def all_errors() -> dict[str, type[StateStoreError]]:
    """Every public error class of the core by name, each before those derived from it; `StateStoreError` itself left out."""
    for path in python_files(*CORE):
        if "testing" not in path.parts:
            importlib.import_module(module_name(path))
    found = derived_from(StateStoreError)
    return {error.__name__: error for error in found if error.__module__.startswith(CORE) and not error.__name__.startswith("_")}


def derived_from(base: type[StateStoreError]) -> list[type[StateStoreError]]:
    return [error for child in base.__subclasses__() for error in [child, *derived_from(child)]]


def table_row(error: type[StateStoreError]) -> str:
    """The row of an error, worded after its docstring."""
    when = (error.__doc__ or "?").splitlines()[0].removeprefix("Raised ").rstrip(".:;")
    return f"| `{error.__name__}` | {when} | `{error.action}` | {error.exit_code} |"


def test_the_readme_lists_every_error_with_its_action_and_exit_code() -> None:
    readme = (ROOT / "projections" / "README.md").read_text(encoding="utf-8")
    listed = {row["name"]: (row["action"], int(row["exit_code"])) for row in ROW.finditer(readme)}
    errors = all_errors()
    wrong = [name for name, error in errors.items() if listed.get(name) != (error.action, error.exit_code)]
    assert listed.keys() <= errors.keys()
    assert wrong == [], "rows that would be right:\n" + "\n".join(table_row(errors[name]) for name in wrong)
