"""No file names the place where it was written, and none holds a stub. The words are put together here, so that this file passes."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project.source_files import ROOT

WORKPLACE = [
    *(f"/{folder}/" for folder in ("wo" + "rk", "fa" + "rm", "ro" + "ot", "tmp/no" + "tes", "tmp/la" + "b")),
    "." + "library",
    "farm" + "-studio",
    "farm" + "-bench",
    "COMPASS" + ".md",
    "DEVELOPERS" + ".md",
    "pypi" + ".org",
    "python" + "hosted",
    "registry." + "npmjs",
    "deb." + "debian.org",
    "crates" + ".io",
]
"""Matched anywhere."""

WHOLE_WORDS = ["sub" + "agents?", "C" + "EO", "A" + "I", "L" + "LM", r"issue\s+#?" + r"\d+"]
"""Matched as whole words."""

STUBS = ["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK", "NotImplemented" + "Error"]

LEAKED = re.compile("|".join([*map(re.escape, WORKPLACE), *(rf"\b{word}\b" for word in WHOLE_WORDS)]))
STUB = re.compile("|".join(rf"\b{word}\b" for word in STUBS))
IGNORED_TYPE = re.compile(r"#\s*type:\s*" + "ignore(?P<code>\\[[a-z, -]+\\])?(?P<reason>\\s+# \\S.{5,})?")
UNTRACKED_FOLDERS = {
    ".git",
    ".venv",
    "__pycache__",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "build",
    "dist",
}


def project_files() -> list[Path]:
    """Files of the project: those git would commit, or, in an unpacked archive, all that no tool made."""
    try:
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        paths = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [path for path in ROOT.rglob("*") if not UNTRACKED_FOLDERS & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in paths if path.is_file())


def lines_of_text_files() -> Iterator[tuple[str, str]]:
    """Place and text of each line of each file that is UTF-8."""
    for path in project_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        yield from ((f"{path.relative_to(ROOT)}:{number}", line) for number, line in enumerate(lines, 1))


def test_no_file_names_the_place_where_it_was_written() -> None:
    assert [f"{place}: {line.strip()[:100]}" for place, line in lines_of_text_files() if LEAKED.search(line)] == []


def test_no_file_holds_a_stub() -> None:
    found = [f"{place}: {line.strip()[:100]}" for place, line in lines_of_text_files() if STUB.search(line)]
    assert found == []


def test_every_ignored_type_error_names_its_code_and_a_reason() -> None:
    bare = [
        place
        for place, line in lines_of_text_files()
        if ".py:" in place
        for ignored in IGNORED_TYPE.finditer(line)
        if not (ignored["code"] and ignored["reason"])
    ]
    assert bare == []


@pytest.mark.parametrize("word", [*WORKPLACE, "sub" + "agent", "issue " + "2", "issue " + "#14"])
def test_the_pattern_finds_each_leaked_word(word: str) -> None:
    assert LEAKED.search(f"see {word} for more")


@pytest.mark.parametrize("text", ["the node agent", "<root>/LOCK", "CAIRO", "an issue with 2 disks", "network/", "workload"])
def test_the_pattern_leaves_words_of_the_project_alone(text: str) -> None:
    assert not LEAKED.search(text)
