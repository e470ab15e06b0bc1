"""`rap-state fabric`: documents that a store takes, the same bytes every time, and marked as what they are."""

import json
from pathlib import Path

import pytest

from rap_journal.testing import ManualClock
from rap_projections.testing import Fabric, memory_store
from rap_tools.main import run_command
from tests.tools.command import ISSUED_AT, BytesBehindText, Terminal, lab_document, rap_state


def test_what_is_issued_is_what_the_store_takes(tmp_path: Path) -> None:
    bundle = rap_state(
        "fabric", "bundle", "-c", "lab", "-O", str(tmp_path / "bundle"), "--issued-at", ISSUED_AT, "-o", "json"
    ).json()
    kit = memory_store()
    cluster = kit.store.join("lab", bundle=(tmp_path / "bundle").read_bytes(), expect=bundle["sha256"])
    for arguments in (
        ("policy", "fallback_allowed=yes", "degraded_s_max=600", "high_risk_operations=resolve_secret"),
        ("peers", "node-1", "node-2"),
        ("routes", "node-1", "node-2=node-1"),
        ("services", "svc-a"),
        ("updates", "agent=7"),
    ):
        cluster.activate(lab_document(tmp_path, *arguments))
    view = cluster.view()
    assert sorted(view.peers.peers) == ["node-1", "node-2"]
    assert view.updates.subject("agent").offer is not None
    assert view.updates.subject("agent").offer.sequence == 7
    assert cluster.policy.degraded_s_max == 600
    kit.store.close()


def test_a_later_version_replaces_an_earlier_one(tmp_path: Path) -> None:
    kit, fabric = memory_store(), Fabric("lab")
    cluster = kit.join(fabric)
    cluster.activate(lab_document(tmp_path, "peers", "node-1"))
    cluster.activate(lab_document(tmp_path, "peers", "node-2", "--number", "2"))
    assert sorted(cluster.view().peers.peers) == ["node-2"]
    kit.store.close()


def test_a_later_bundle_is_the_next_one_of_the_same_roots(tmp_path: Path) -> None:
    assert lab_document(tmp_path, "bundle", "--number", "2") == Fabric("lab").next_bundle()


def test_a_head_lists_the_documents_it_is_given(tmp_path: Path) -> None:
    lab_document(tmp_path, "peers", "node-1")
    arguments = ("fabric", "head", str(tmp_path / "peers"), "-c", "lab", "-O", str(tmp_path / "head"), "--issued-at", ISSUED_AT)
    made = rap_state(*arguments, "-o", "json").json()
    assert (made["document_type"], made["scope"], made["version"]) == ("head", "cluster", [0, 1])
    fabric = Fabric("lab")
    fabric.peers(["node-1"])
    assert (tmp_path / "head").read_bytes() == fabric.head()


def test_the_same_call_gives_the_same_bytes(tmp_path: Path) -> None:
    assert (
        lab_document(tmp_path, "peers", "node-1") == lab_document(tmp_path, "peers", "node-1") == Fabric("lab").peers(["node-1"])
    )
    assert lab_document(tmp_path, "peers", "node-1", "--seed", "1") != lab_document(tmp_path, "peers", "node-1")


def test_it_says_that_it_is_for_trials(tmp_path: Path) -> None:
    made = rap_state("fabric", "peers", "node-1", "-c", "lab", "-O", str(tmp_path / "x"), "-o", "json").json()
    assert made["is_trial"] is True
    assert "anyone who knows the seed" in made["warning"]
    assert "for trials only" in rap_state("fabric", "bundle", "-c", "lab", "-O", str(tmp_path / "x")).out


def test_without_a_file_the_document_goes_to_standard_output_and_the_rest_beside_it() -> None:
    import io

    out, errors = BytesBehindText(), io.StringIO()
    arguments = ["fabric", "peers", "node-1", "-c", "lab", "-o", "json", "--issued-at", ISSUED_AT]
    assert run_command(arguments, environment={}, stream=out, errors=errors) == 0
    out.flush()
    assert out.bytes.getvalue() == Fabric("lab").peers(["node-1"])
    assert json.loads(errors.getvalue())["file"] is None


def test_a_document_is_not_thrown_at_a_terminal() -> None:
    assert rap_state("fabric", "peers", "node-1", "-c", "lab", stream=Terminal()).code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("peers", "node-1"),
        ("bundle", "x", "-c", "lab"),
        ("updates", "agent=x", "-c", "lab"),
        ("policy", "nonsense=1", "-c", "lab"),
        ("policy", "fallback_allowed=1", "-c", "lab"),
        ("peers", "node-1", "-c", "Lab"),
        ("peers", "node-1", "-c", "lab", "--issued-at", "2027-01-15"),
        ("peers", "node-1", "-c", "lab", "--number", "0"),
    ],
)
def test_what_cannot_be_issued_is_a_misuse_and_makes_no_file(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert rap_state("fabric", *arguments, "-O", str(tmp_path / "x")).code == 2
    assert not (tmp_path / "x").exists()


def test_a_document_may_be_issued_at_another_time(tmp_path: Path) -> None:
    made = lab_document(tmp_path, "peers", "node-1", "--issued-at", "2027-01-16T08:00:00Z")
    assert made == Fabric("lab", issued_at_s=1_800_086_400).peers(["node-1"])


def test_a_document_is_issued_now_unless_told_otherwise(tmp_path: Path) -> None:
    clock = ManualClock()
    path = tmp_path / "peers"
    made = rap_state("fabric", "peers", "node-1", "-c", "lab", "-O", str(path), clock=clock)
    assert (made.code, made.err) == (0, "")
    assert path.read_bytes() == Fabric("lab", issued_at_s=clock.now().wall_us // 1_000_000).peers(["node-1"])


def test_a_time_in_the_future_is_warned_of(tmp_path: Path) -> None:
    arguments = ("fabric", "peers", "node-1", "-c", "lab", "-O", str(tmp_path / "peers"), "--issued-at")
    made = rap_state(*arguments, ISSUED_AT, clock=ManualClock())
    assert (made.code, f"{ISSUED_AT} lies in the future" in made.err) == (0, True)
    assert rap_state(*arguments, "2025-01-01T00:00:00Z", clock=ManualClock()).err == ""


def test_versions_are_told_as_status_tells_them(tmp_path: Path) -> None:
    arguments = ("-c", "lab", "-O", str(tmp_path / "x"))
    assert rap_state("fabric", "bundle", *arguments).out.startswith("bundle 1 of lab,")
    assert rap_state("fabric", "peers", "node-1", *arguments).out.startswith("peers snapshot 1.1 of lab,")
