"""What is shipped: a wheel with the three packages and nothing else, and a source distribution that tests and builds itself."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.project.source_files import CORE, FOLDERS, ROOT, python_files
from tests.project.test_core_dependencies import THIRD_PARTY

NAME = "rap_node_state"

BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ImportError("not allowed: " + name)
sys.meta_path.insert(0, Blocker())
"""
"""Lets nothing be imported but the standard library and `ALLOWED`."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution of this checkout."""
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def source_names(built: Path) -> set[str]:
    """Paths in the source distribution, relative to the folder that it makes."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def test_the_wheel_holds_the_three_packages_and_what_describes_them_and_no_test(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    (described,) = tops - FOLDERS.keys()
    assert tops - {described} == FOLDERS.keys() and described.startswith(NAME) and described.endswith(".dist-info")
    assert [name for name in wheel.namelist() if Path(name).name.startswith(("test_", "bench_", "conftest"))] == []
    code = {name for name in wheel.namelist() if name.endswith(".py")}
    assert code == {path.relative_to(ROOT / FOLDERS[package]).as_posix() for package in FOLDERS for path in python_files(package)}
    assert {f"{package}/py.typed" for package in FOLDERS} <= set(wheel.namelist())


def test_the_core_of_the_wheel_imports_nothing_but_its_three_dependencies(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """Every module of the core, and what it imports, in a process that has nothing else."""
    wheel.extractall(tmp_path)
    plugin = "rap_projections.testing.pytest_plugin"
    modules = [
        ".".join(path.relative_to(ROOT / FOLDERS[package]).with_suffix("").parts).removesuffix(".__init__")
        for package in CORE
        for path in python_files(package)
    ]
    # What the dependencies themselves need is their affair: they are loaded before.
    needed = f"import {', '.join(sorted(THIRD_PARTY))}"
    allowed = sorted({*sys.stdlib_module_names, *THIRD_PARTY, *CORE, "_cffi_backend"})
    imports = "\n".join(f"import {name}" for name in modules if name != plugin)
    script = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n{needed}\nALLOWED = {allowed!r}\n{BLOCKED}\n{imports}\n"
    script += "import rap_journal\nprint(rap_journal.__file__)\n"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith(str(tmp_path)), "it was the wheel that was imported"


def test_all_that_the_source_distribution_lists_is_there() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    listed = [*settings["sdist"]["include"], *settings["wheel"]["packages"]]
    assert [name for name in listed if not (ROOT / name.strip("/")).exists()] == []


def test_the_source_distribution_holds_code_tests_and_pages_and_nothing_that_was_made(source_names: set[str]) -> None:
    needed = {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile", "journal/FORMAT.md", "projections/EVENTS.md"}
    assert needed <= source_names
    tops = {name.partition("/")[0] for name in source_names}
    assert tops - {"PKG-INFO", ".gitignore", ""} == {*FOLDERS.values(), "tests"} | {name for name in needed if "/" not in name}
    code = {path.relative_to(ROOT).as_posix() for package in FOLDERS for path in python_files(package)}
    tests = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")}
    assert code | tests <= source_names
    assert [name for name in source_names if "__pycache__" in name or name.endswith(".pyc")] == []
