"""What the README promises a newcomer: the example runs as it stands, and the commands it names exist."""

import re
import sys
from pathlib import Path

import pytest

from rap_projections.testing import Fabric
from tests.projections.identity_kit import working
from tests.projections.tls_kit import answered, second

README = Path(__file__).parents[2] / "README.md"
EXAMPLE = re.compile(r"<!-- example: embedding -->\n```python\n(.*?)```", re.DOTALL)
CONNECTION = re.compile(r"<!-- example: connection -->\n```python\n(.*?)```", re.DOTALL)


def test_the_embedding_example_runs_as_it_stands(tmp_path: Path) -> None:
    example = EXAMPLE.search(README.read_text())
    assert example is not None
    assert len(example[1].splitlines()) <= 25
    fabric = Fabric("eu-west-1")
    names: dict[str, object] = {
        "root": tmp_path / "state",
        "key_file": tmp_path / "node.key",
        "bundle": fabric.bootstrap,
        "bundle_sha256": fabric.fingerprint,
        "document": fabric.routes([("node-42", ("node-17",))]),
        "directory": fabric.peers(["node-17", "node-18", "node-42"]),
    }
    exec(compile(example[1], str(README), "exec"), names)  # noqa: S102  # the text of the README is this repository's own
    assert names["receipt"].durable  # type: ignore[attr-defined]  # the example leaves a Receipt behind
    route = names["route"]
    assert route is not None
    assert route.path == ("node-17",)  # type: ignore[attr-defined]  # and a SelectedRoute


@pytest.mark.skipif(sys.platform != "linux", reason="sealed files in memory are Linux's")
def test_the_connection_example_runs_over_a_pair_of_sockets() -> None:
    example = CONNECTION.search(README.read_text())
    assert example is not None
    node = working()
    with answered(second(node.fabric, "node-2").cluster) as (connection, outcome):
        names: dict[str, object] = {"cluster": node.cluster, "connection": connection}
        exec(compile(example[1], str(README), "exec"), names)  # noqa: S102  # as above
    assert names["reply"] == b"pong:ping"
    assert [peer.node_id for peer in outcome] == ["node-17"]


def test_every_make_target_the_readme_names_exists() -> None:
    makefile = (README.parent / "Makefile").read_text()
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README.read_text(), re.MULTILINE))
    assert {"demo", "test", "check", "bench"} <= named
    assert [target for target in sorted(named) if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
