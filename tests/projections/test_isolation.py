"""Serving one cluster opens nothing of another: seen from outside by the system calls, and from inside by the audit events."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.projections import serving_one_cluster as program

ROOT = Path(__file__).parents[2]
# Told to, the tracer shows behind every descriptor the path that it stands for: openat(7</…/mine/journal>, "name", …) = 9</…/name>.
OPENED = re.compile(r"openat\(.*\) = \d+<(?P<path>[^>]*)>")
ON_THE_WAY = {"", "/clusters", "/MARKER", "/LOCK"}


def watched(tmp_path: Path, command: list[str]) -> list[str]:
    """What a watcher prints about the program while it serves one cluster."""
    output = tmp_path / "watched"
    environment = {
        "PYTHONPATH": ":".join(str(ROOT / part) for part in ("journal", "projections", "tools", ".")),
        "PATH": "/usr/bin:/bin",
    }
    subprocess.run(
        [part.replace("OUTPUT", str(output)) for part in command] + [str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        check=True,
        timeout=120,
    )
    lines = output.read_text(errors="replace").splitlines()
    begin, end = (next(index for index, line in enumerate(lines) if mark in line) for mark in (program.BEGIN, program.END))
    assert begin < end
    return lines[begin + 1 : end]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_system_call_made_for_one_cluster_names_a_path_of_another(tmp_path: Path) -> None:
    """Mutation: let History look into every cluster's folder while one is asked for."""
    probe = subprocess.run(["strace", "-o", "/dev/null", "true"], check=False, capture_output=True)
    if probe.returncode:
        pytest.skip("strace may not trace processes here")
    script = str(Path(program.__file__))
    lines = watched(
        tmp_path,
        ["strace", "-f", "-qq", "-y", "-e", "trace=%file,%desc", "-e", "signal=none", "-o", "OUTPUT", sys.executable, script],
    )
    touched = [line for line in lines if str(tmp_path / "store") in line]
    mine = f"{tmp_path}/store/clusters/{program.MINE}"
    assert sum(mine in line for line in touched) > 100
    assert [line for line in lines if f"clusters/{program.THEIRS}" in line or f'"{program.THEIRS}"' in line] == []
    opened = {found["path"] for line in touched if (found := OPENED.search(line))}
    assert {path.removeprefix(f"{tmp_path}/store") for path in opened if not path.startswith(mine)} <= ON_THE_WAY


AUDITED = f"""
import sys
names, told = [], ("open", "os.listdir", "os.scandir", "os.rename", "os.remove")
sys.addaudithook(lambda event, arguments: names.append(repr(arguments)) if event in told else None)
sys.argv = ["program", sys.argv[2]]
import runpy
try:
    runpy.run_module("tests.projections.serving_one_cluster", run_name="__main__")
finally:
    open({"OUTPUT"!r}, "w").write("\\n".join(names))
"""


def test_no_audit_event_of_serving_one_cluster_names_another(tmp_path: Path) -> None:
    """Mutation: as above, seen from inside, where no tracer is at hand."""
    code = AUDITED.replace("'OUTPUT'", repr(str(tmp_path / "watched"))).replace("sys.argv[2]", "sys.argv[1]")
    lines = watched(tmp_path, [sys.executable, "-c", code])
    assert sum("'journal'" in line for line in lines) >= 1
    assert [line for line in lines if re.search(rf"\b{program.THEIRS}\b", line)] == []
