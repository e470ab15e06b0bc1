"""The fixtures for the tests of an agent, used as an agent's tests use them: by a pytest of their own."""

import tomllib
from pathlib import Path

import pytest

from rap_projections.testing import pytest_plugin

pytest_plugins = ["pytester"]

PLUGIN = pytest_plugin.__name__


@pytest.fixture(autouse=True)
def no_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether rap-node-state is installed here, with its entry point, makes no difference."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def passes(pytester: pytest.Pytester, test_file: str, count: int, *, conftest: str = "") -> None:
    """Run a test file with the plugin; `count` tests pass, and nothing else happens."""
    pytester.makepyfile(test_agent=test_file)
    pytester.makeconftest(conftest)
    # The module is imported here already, which a pytest of its own would not find.
    warnings = ("-W", "error", "-W", "ignore::pytest.PytestAssertRewriteWarning")
    result = pytester.runpytest_inprocess("-p", PLUGIN, "-p", "no:cacheprovider", *warnings)
    result.assert_outcomes(passed=count)


def test_the_entry_point_names_the_module() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}


def test_the_examples_of_the_docstring_pass_as_they_stand(pytester: pytest.Pytester) -> None:
    example = (pytest_plugin.__doc__ or "").partition("Example::")[2]
    passes(pytester, "\n".join(line.removeprefix("    ") for line in example.splitlines()), 2)


def test_a_node_store_has_joined_the_cluster_of_the_fabric_and_runs_by_the_manual_clock(pytester: pytest.Pytester) -> None:
    passes(
        pytester,
        """
        def test_it(node_store, fabric, manual_clock):
            (cluster,) = node_store.store.clusters()
            assert (cluster.id, fabric.cluster_id) == ("eu-west-1", "eu-west-1")
            assert node_store.clock is manual_clock
            cluster.hints.put("relay", "relay-3", ttl_s=60)
            cluster.flush()
            assert cluster.hints.get("relay") == "relay-3"
            manual_clock.advance(seconds=61)
            assert cluster.hints.get("relay") is None
        """,
        1,
    )


def test_every_test_gets_a_store_of_its_own_and_may_break_it(pytester: pytest.Pytester) -> None:
    passes(
        pytester,
        """
        import errno
        import pytest

        @pytest.mark.parametrize("turn", [1, 2])
        def test_it(node_store, fabric, turn):
            assert node_store.store.agent.view().clusters.keys() == {"eu-west-1"}
            assert node_store.store.cluster("eu-west-1").snapshots.scope("peers").active is None
            node_store.store.cluster("eu-west-1").activate(fabric.peers(["node-1"]))
            node_store.filesystem.fail("*", "*", errno.EIO, times=None)

        def test_a_dead_process_closes_nothing(node_store):
            node_store.filesystem.crash()
        """,
        3,
    )


def test_a_wounded_store_is_what_its_wound_says(pytester: pytest.Pytester) -> None:
    passes(
        pytester,
        """
        import pytest
        from rap_journal.errors import DamageError, MisuseError

        def test_it(wounded_store, manual_clock):
            rotten, lost = wounded_store("rotten-frame"), wounded_store("witness-lost")
            assert rotten.expected.resets == ("peers",)
            assert rotten.cluster.snapshots.scope("peers").active is not None
            assert rotten.kit.clock is manual_clock
            with pytest.raises(DamageError) as caught:
                lost.cluster
            assert caught.value.reason == lost.expected.reason == "no_witness"

        def test_a_wound_that_is_not_in_the_list(wounded_store):
            with pytest.raises(MisuseError):
                wounded_store("broken-heart")
        """,
        2,
    )


def test_fabric_and_clock_may_be_overridden(pytester: pytest.Pytester) -> None:
    passes(
        pytester,
        """
        def test_it(node_store, wounded_store):
            assert node_store.store.cluster("us-east-1").status()["cluster"] == "us-east-1"
            assert node_store.clock.now().wall_us == 5
            assert wounded_store("torn-tail").cluster.id == "us-east-1"
        """,
        1,
        conftest="""
        import pytest
        from rap_projections.testing import Fabric, ManualClock

        @pytest.fixture
        def fabric():
            return Fabric("us-east-1")

        @pytest.fixture
        def manual_clock():
            return ManualClock(wall_us=5)
        """,
    )


def test_every_fixture_says_what_it_is(pytester: pytest.Pytester) -> None:
    shown = pytester.runpytest_inprocess("-p", PLUGIN, "--fixtures", "-p", "no:cacheprovider").stdout.str()
    ours = shown.partition(PLUGIN)[2]
    for name in ("manual_clock", "fabric", "node_store", "wounded_store"):
        assert f"\n{name} -- " in ours
    assert "no docstring available" not in ours
