"""The agent's own class: openings, clusters, flags and diagnostics."""

import pytest

from rap_journal.errors import MisuseError
from rap_projections import agent
from rap_projections.agent import (
    DIAGNOSTIC_LENGTH_MAX,
    DIAGNOSTICS_MAX,
    FLAGS_MAX,
    LEFT_CLUSTERS_MAX,
    AgentInstalled,
    AgentView,
    Closing,
    ClusterJoined,
    ClusterLeft,
    Diagnostic,
    DiagnosticNoted,
    FeatureFlagSet,
    Opening,
    UpdateEngine,
    UpdateEngineSeen,
    decide_closed,
    decide_diagnostic,
    decide_flag,
    decide_installed,
    decide_joined,
    decide_left,
    decide_opened,
    decide_update_engine,
)
from rap_projections.event_kinds import Event
from rap_projections.known_floors import NOTHING_KNOWN
from rap_projections.lifecycle import ClassReset, Closed, Opened
from tests.projections.class_log import ClassLog


def open_once(view: AgentView) -> tuple[Event, ...]:
    return decide_opened(view, agent_version="2.1", build="1.0", incarnation=b"i" * 16)


def test_an_installation_keeps_its_id() -> None:
    log = ClassLog(agent)
    log.append(*decide_installed(log.state.view, "ab" * 16))
    assert log.state.view.install_id == "ab" * 16
    assert decide_installed(log.state.view, "cd" * 16) == ()
    assert decide_installed(AgentView(), "cd" * 16) == (AgentInstalled("cd" * 16),)


def test_an_opening_says_whether_the_one_before_was_closed_in_order() -> None:
    log = ClassLog(agent)
    log.append(*open_once(log.state.view), node_us=5)
    assert log.state.view.opened == Opening("2.1", "1.0", b"i" * 16, True, 5, 1) and log.state.view.is_open
    assert open_once(log.state.view) == (Opened("2.1", "1.0", b"i" * 16, False),)
    log.append(*decide_closed(log.state.view, "shutdown"), node_us=6)
    assert log.state.view.closed == Closing("shutdown", 6, 2) and not log.state.view.is_open
    assert open_once(log.state.view) == (Opened("2.1", "1.0", b"i" * 16, True),)
    assert decide_closed(log.state.view, "shutdown") == ()


def test_a_cluster_is_joined_once_and_another_journal_of_it_is_refused() -> None:
    log = ClassLog(agent)
    events = decide_joined(log.state.view, "lab", journal_id=b"j" * 16)
    assert events == (ClusterJoined("lab", b"j" * 16),)
    log.append(*events)
    assert decide_joined(log.state.view, "lab", journal_id=b"j" * 16) == ()
    with pytest.raises(MisuseError, match="cluster lab is joined with another journal") as caught:
        decide_joined(log.state.view, "lab", journal_id=b"k" * 16)
    assert caught.value.cluster == "lab"


def test_a_cluster_that_was_left_is_remembered_and_may_be_joined_anew() -> None:
    log = ClassLog(agent)
    log.append(ClusterJoined("lab", b"j"), ClusterJoined("prod", b"p"), node_us=5)
    events = decide_left(log.state.view, "lab", reason="operator")
    assert events == (ClusterLeft("lab", "operator", NOTHING_KNOWN),)
    log.append(*events, node_us=6)
    assert log.state.view.joined() == ("prod",)
    assert log.state.view.clusters["lab"][:4] == (b"j", 5, 6, "operator")
    assert decide_left(log.state.view, "lab", reason="operator") == ()
    log.append(*decide_joined(log.state.view, "lab", journal_id=b"k"), node_us=7)
    assert log.state.view.clusters["lab"][:4] == (b"k", 7, None, "")


def test_leaving_a_cluster_that_was_never_joined_changes_nothing() -> None:
    log = ClassLog(agent)
    log.append(ClusterLeft("lab", "operator", NOTHING_KNOWN))
    assert log.state.view == AgentView()


def test_all_joined_clusters_and_the_newest_64_that_were_left_are_kept() -> None:
    log = ClassLog(agent)
    log.append(ClusterJoined("stays", b"s"))
    for number in range(LEFT_CLUSTERS_MAX + 1):
        log.append(ClusterJoined(f"c{number}", b"j"), ClusterLeft(f"c{number}", "operator", NOTHING_KNOWN), node_us=number)
    assert len(log.state.view.clusters) == LEFT_CLUSTERS_MAX + 1
    assert "stays" in log.state.view.clusters and "c0" not in log.state.view.clusters


def test_flags_and_the_update_engine_are_recorded_where_they_changed() -> None:
    log = ClassLog(agent)
    assert decide_flag(log.state.view, "new-mesh", on=True) == (FeatureFlagSet("new-mesh", True),)
    log.append(
        *decide_flag(log.state.view, "new-mesh", on=True),
        *decide_update_engine(log.state.view, name="swup", version="3", state="ready"),
    )
    assert log.state.view.feature_flags == {"new-mesh": True}
    assert log.state.view.update_engine == UpdateEngine("swup", "3", "ready")
    assert decide_flag(log.state.view, "new-mesh", on=True) == ()
    assert decide_update_engine(log.state.view, name="swup", version="3", state="ready") == ()
    assert decide_update_engine(log.state.view, name="swup", version="4", state="ready") == (
        UpdateEngineSeen("swup", "4", "ready"),
    )


def test_diagnostics_are_bounded_in_number_and_length() -> None:
    (event,) = decide_diagnostic("missing_cluster", cluster_id="lab", text="x" * (DIAGNOSTIC_LENGTH_MAX + 1))
    assert event == DiagnosticNoted("missing_cluster", "lab", "x" * DIAGNOSTIC_LENGTH_MAX)
    log = ClassLog(agent)
    log.append(*[DiagnosticNoted(f"d{number}", "", "") for number in range(DIAGNOSTICS_MAX + 1)], node_us=5)
    assert len(log.state.view.diagnostics) == DIAGNOSTICS_MAX
    assert log.state.view.diagnostics[0] == Diagnostic("d1", "", "", 5, 2)


@pytest.mark.parametrize("word", ["", "Two Words", "x" * 65])
def test_codes_names_and_reasons_are_short_words(word: str) -> None:
    for call in (
        lambda: decide_diagnostic(word, text=""),
        lambda: decide_flag(AgentView(), word, on=True),
        lambda: decide_left(AgentView(), "lab", reason=word),
        lambda: decide_closed(AgentView(), word),
    ):
        with pytest.raises(MisuseError):
            call()


def test_a_reset_forgets_diagnostics_and_clusters() -> None:
    log = ClassLog(agent)
    log.append(ClusterJoined("lab", b"j"), Closed("x"), ClassReset(10, 1, 2, "gap"))
    assert log.state.view.joined() == () and log.state.view.closed is None


def test_there_are_at_most_256_feature_flags_and_those_can_still_be_switched() -> None:
    view = AgentView(feature_flags={f"flag-{number}": True for number in range(FLAGS_MAX)})
    with pytest.raises(MisuseError) as caught:
        decide_flag(view, "one-more", on=True)
    assert caught.value.reason == "too_many_flags"
    assert decide_flag(view, "flag-0", on=False) == (FeatureFlagSet("flag-0", False),)
