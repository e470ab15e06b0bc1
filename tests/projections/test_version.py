"""The version of the code: one number, and it stands in the history."""

import tomllib
from pathlib import Path

import rap_projections
from rap_projections.event_kinds import event_of
from rap_projections.lifecycle import PolicyInForce
from rap_projections.version import __version__
from tests.projections.store_kit import furnished, written


def test_it_is_the_version_of_the_distribution() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert __version__ == project["version"] == rap_projections.__version__


def test_it_stands_in_events_so_that_a_history_says_which_code_decided() -> None:
    it = furnished()
    builds = {event.build for record in written(it) if isinstance(event := event_of(record), PolicyInForce)}
    assert builds == {__version__}
    opened = it.kit.store.agent.view().opened
    assert opened is not None and (opened.build, it.kit.store.report()["build"]) == (__version__, __version__)
