"""A status as text: what stands in the object, in words, with what needs attention in colour."""

import io
from typing import Any

import pytest

from rap_tools.status_lines import print_cluster, print_store
from rap_tools.text_output import TextWriter

SCOPE = {
    "active_version": [1, 4], "applied_version": [1, 4], "refresh_after_s": 1_800_000_000, "expires_at_s": 1_800_000_000,
    "is_refresh_due": False, "is_expired": False, "has_pending": False, "previous_count": 0, "is_fallen_back": False,
}  # fmt: skip
STATUS: dict[str, Any] = {
    "cluster": "lab",
    "horizon": 60,
    "trusted_time_s": 1_800_000_000,
    "fail_closed": None,
    "identity": {"enrollment": "none", "protection": "file"},
    "trust": {
        "bundle_version": 3, "bundle_expires_at_s": 1_800_000_000, "restore_state": "normal", "revocation_count": 1, "refusal_count": 0,
    },
    "snapshots": {"peers": SCOPE},
    "peer_count": 1,
    "route_count": 2,
    "telemetry_waiting": 0,
    "degraded": {"is_degraded": False, "reasons": [], "partition_flags": [], "seconds_left": 84_480},
    "updates": {"agent": {"current": None, "has_pending": True}},
    "store": {
        "recovery_count": 0, "last_recovery": None, "history_floor_lsn": 0, "checkpoint_lsn": 40, "quarantine_bytes": 0,
    },
    "is_sealed": False,
    "is_live": False,
    "sound": {"is_sound": True, "unsound_scopes": [], "lost_scopes": [], "missing": []},
    "journal": {
        "first_lsn": 1, "oldest_lsn": 0, "checkpoints": [0, 40], "replay_count": 20, "segment_count": 1, "stored_bytes": 4096,
    },
    "error": None,
    "exit_code": 0,
}  # fmt: skip
INFO: dict[str, Any] = {
    "root": "/node", "store_id": "ab" * 16, "key_provider": "file", "writer": None, "missing_clusters": [],
    "agent": {
        "install_id": "cd" * 16, "agent_version": "0.1.0", "opened_at": "2027-01-15T08:00:00.123456Z",
        "closed_at": "2027-01-15T09:00:00.000000Z", "is_open": False, "previous_close_was_clean": True, "feature_flags": {}, "joined": [],
        "anchor": {"state": None, "seen": None, "seen_at": None, "written": None, "written_at": None, "reason": None, "doubtful": []},
    },
}  # fmt: skip


def cluster_lines(*, color: bool = False, **changes: Any) -> dict[str, str]:
    """What is said of each thing, by its name."""
    stream = io.StringIO()
    print_cluster(TextWriter(stream, color=color), STATUS | changes)
    return {line[2:].partition("  ")[0]: line[2:].partition("  ")[2].strip() for line in stream.getvalue().splitlines()[2:]}


def store_lines(agent: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    stream = io.StringIO()
    info = INFO | changes
    print_store(TextWriter(stream, color=False), info | {"agent": info["agent"] | (agent or {})})
    return stream.getvalue().splitlines()


def test_a_cluster_is_told_line_by_line() -> None:
    stream = io.StringIO()
    print_cluster(TextWriter(stream, color=False), STATUS)
    assert stream.getvalue().splitlines() == [
        "",
        "cluster lab  @60",
        "  fail closed     no",
        "  identity        not enrolled; keys protected by: file",
        "  trust           bundle 3, expires 2027-01-15T08:00:00Z; 1 revocation, 0 refusals",
        "  snapshot peers  1.4, applied 1.4, refresh after 2027-01-15T08:00:00Z, expires 2027-01-15T08:00:00Z",
        "  caches          1 peer, 2 routes, 0 telemetry records waiting",
        "  degraded        no; 23h 28min of safe operation left",
        "  update agent    no known version runs, one is pending",
        "  recovery        no recovery has cut or lost anything",
        "  trusted time    2027-01-15T08:00:00Z or later",
        "  sound           nothing is missing since the newest checkpoint, @40. Every byte: rap-state verify",
        "  history         events @1..@60, states from the beginning; 1 segment, 4096 bytes; an opening replays 20 records",
    ]


@pytest.mark.parametrize(
    ("store", "text"),
    [
        (
            {"recovery_count": 1, "last_recovery": {"verdict": "torn_tail", "lsn": 12, "action": "cut"}},
            "1 finding, the last: torn tail after @12, cut; nothing acknowledged was lost",
        ),
        (
            {"recovery_count": 3, "last_recovery": {"verdict": "gap", "lsn": 12, "action": "reported"}},
            "3 findings, the last: gap after @12, reported; records may have been lost",
        ),
    ],
)
def test_recoveries_say_whether_anything_was_lost(store: dict[str, Any], text: str) -> None:
    assert cluster_lines(store=STATUS["store"] | store)["recovery"] == text


def test_a_quarantine_is_told_of_where_it_holds_something() -> None:
    assert "quarantine" not in cluster_lines()
    assert cluster_lines(store=STATUS["store"] | {"quarantine_bytes": 1})["quarantine"] == "1 byte of what was cut"


@pytest.mark.parametrize("checkpoints", [[], [0]])
def test_without_a_checkpoint_the_beginning_is_where_it_counts_from(checkpoints: list[int]) -> None:
    found = cluster_lines(journal=STATUS["journal"] | {"checkpoints": checkpoints, "replay_count": 1})
    assert found["sound"] == "nothing is missing since the beginning; there is no checkpoint yet. Every byte: rap-state verify"
    assert found["history"].endswith("; an opening replays 1 record")


@pytest.mark.parametrize(
    ("sound", "text"),
    [
        ({"missing": [{"first_lsn": 3, "last_lsn": 9, "reason": "bad_digest"}]}, "@3..@9 missing (bad_digest)"),
        ({"missing": [{"first_lsn": 3, "last_lsn": 3, "reason": "gap"}], "unsound_scopes": ["peers"]},
         "@3 missing (gap); the active peers document does not verify"),
        ({}, "no: see fail closed"),
        (None, "unknown"),
    ],
)  # fmt: skip
def test_what_is_not_sound_is_named(sound: dict[str, Any] | None, text: str) -> None:
    found = None if sound is None else {"is_sound": False, "missing": [], "unsound_scopes": [], "lost_scopes": []} | sound
    assert cluster_lines(sound=found)["sound"] == text


@pytest.mark.parametrize(
    ("journal", "text"),
    [
        ({"first_lsn": 61}, "no events yet; 1 segment, 4096 bytes"),
        (
            {"first_lsn": 30, "oldest_lsn": 40},
            "events @30..@60, states from @40; 1 segment, 4096 bytes; an opening replays 20 records",
        ),
        (None, "unknown"),
    ],
)
def test_the_history_says_from_where_on_there_is_what(journal: dict[str, Any] | None, text: str) -> None:
    changes = {"journal": None, "sound": None} if journal is None else {"journal": STATUS["journal"] | journal}
    assert cluster_lines(**changes)["history"] == text


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        ({"active_version": None}, "none active"),
        ({"active_version": None, "has_pending": True}, "none active, one pending"),
        ({"is_expired": True, "is_refresh_due": True}, "1.4, applied 1.4, expires 2027-01-15T08:00:00Z; EXPIRED"),
        ({"is_refresh_due": True, "previous_count": 2},
         "1.4, applied 1.4, refresh due since 2027-01-15T08:00:00Z, expires 2027-01-15T08:00:00Z; 2 previous"),
        ({"applied_version": None, "is_fallen_back": True, "has_pending": True},
         "1.4, not applied, refresh after 2027-01-15T08:00:00Z, expires 2027-01-15T08:00:00Z; fallen back; one pending"),
    ],
)  # fmt: skip
def test_a_snapshot_says_how_fresh_it_is(scope: dict[str, Any], text: str) -> None:
    assert cluster_lines(snapshots={"peers": SCOPE | scope})["snapshot peers"] == text


def test_no_snapshot_no_bundle_and_no_deadline_are_said() -> None:
    found = cluster_lines(
        snapshots={}, trust=STATUS["trust"] | {"bundle_version": None}, degraded=STATUS["degraded"] | {"seconds_left": None}
    )
    assert (found["snapshots"], found["trust"], found["degraded"]) == ("none active", "no bundle", "no; no deadline set yet")


def test_degraded_mode_names_reasons_and_flags() -> None:
    degraded = {"is_degraded": True, "reasons": ["disk", "no contact"], "partition_flags": ["west"], "seconds_left": 90}
    assert cluster_lines(degraded=degraded)["degraded"] == (
        "yes: disk, no contact; 1min 30s of safe operation left; partition flags: west"
    )


def test_a_cluster_that_fails_closed_is_red() -> None:
    stream = io.StringIO()
    print_cluster(TextWriter(stream, color=True), STATUS | {"fail_closed": "trust_damaged"})
    assert "\x1b[1;31myes: trust_damaged\x1b[0m" in stream.getvalue()


def test_an_error_stands_in_place_of_what_it_hid() -> None:
    found = cluster_lines(error={"message": "it broke.", "try": None}, sound=None)
    assert (found["error"], found["try"], found["sound"]) == ("it broke.", "-", "unknown")
    assert "trust" not in found


def test_what_is_sealed_says_so() -> None:
    found = cluster_lines(is_sealed=True)
    assert {found[name] for name in ("fail closed", "identity", "trust", "snapshots", "degraded", "updates")} == {"(sealed)"}
    assert "recovery" not in found


def test_a_store_is_told_with_its_last_opening() -> None:
    assert store_lines() == [
        "store /node",
        f"  store id      {'ab' * 16}",
        "  key provider  file",
        "  writer        none at work",
        "  agent         version 0.1.0",
        "  last opening  2027-01-15T08:00:00Z; closed in order 2027-01-15T09:00:00Z",
    ]


@pytest.mark.parametrize(
    ("agent", "writer", "text"),
    [
        ({"previous_close_was_clean": False}, None,
         "last opening  2027-01-15T08:00:00Z, after a crash or a kill; closed in order 2027-01-15T09:00:00Z"),
        ({"closed_at": None, "is_open": True}, "pid 7", "last opening  2027-01-15T08:00:00Z; open now"),
        ({"closed_at": None, "is_open": True}, None,
         "last opening  2027-01-15T08:00:00Z; not closed in order since: a crash or a kill"),
        ({"opened_at": None}, None, "agent         has not opened the store yet"),
        ({"install_id": "(sealed)"}, None, "agent         (sealed)"),
        ({"error": {"message": "it broke."}}, None, "agent         it broke."),
    ],
)  # fmt: skip
def test_the_last_opening_says_what_came_before_and_after(agent: dict[str, Any], writer: str | None, text: str) -> None:
    assert store_lines(agent, writer=writer)[-1] == f"  {text}"


def test_clusters_that_are_missing_are_named() -> None:
    assert store_lines(missing_clusters=["lab", "west"])[-1] == "  missing       joined, and not on disk: lab, west"
    assert "missing" not in "".join(store_lines(missing_clusters="(sealed)"))
