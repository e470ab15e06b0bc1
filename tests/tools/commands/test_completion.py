"""`rap-state completion`: bash takes the script, and it completes what the parser takes."""

import shutil
import subprocess

import pytest

from rap_tools.command_line import COMMANDS
from rap_tools.commands.completion import bash_script
from tests.tools.command import rap_state

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


def complete(*words: str) -> list[str]:
    """What bash offers for the last of `words`."""
    line = " ".join(f"'{word}'" for word in words)
    script = (
        f"{bash_script()}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _rap_state; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()


@needs_bash
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("rap-state", "st"), ["status", "state"]),
        (("rap-state", "-o", ""), ["text", "json", "ndjson"]),
        (("rap-state", "log", "--cat"), ["--category"]),
        (("rap-state", "log", "--category", "re"), ["refusal"]),
        (("rap-state", "-D", "/x", "log", "--fol"), ["--follow"]),
        (("rap-state", "fabric", "po"), ["policy"]),
    ],
)
def test_bash_offers_what_the_parser_takes(words: tuple[str, ...], offered: list[str]) -> None:
    assert sorted(complete(*words)) == sorted(offered)


def test_every_command_is_in_the_script() -> None:
    script = rap_state("completion").out
    assert all(f'"{command.name}")' in script for command in COMMANDS)
    assert rap_state("completion", "bash", "-o", "json").json()["script"] == script
