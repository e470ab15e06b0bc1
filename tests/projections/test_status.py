"""Status and report: every field of section 12 of the specification, and neither a secret nor the topology."""

import json
from typing import Any

from rap_projections.status import STATUS_FORMAT, STATUS_VERSION
from tests.projections.store_kit import CLUSTER, furnished, ready

FIELDS = {
    "": [
        "anchor", "cluster", "degraded", "fail_closed", "format", "format_version", "horizon", "identity", "peer_count", "recovery",
        "route_count", "snapshots", "store", "telemetry_waiting", "trust", "trusted_time_s", "updates", "writer",
    ],
    "identity": ["certificate_expires_at_s", "enrollment", "protection", "renewal", "revocation", "state"],
    "trust": [
        "bundle_expires_at_s", "bundle_version", "enforcement_delay_s", "head_expires_at_s", "refusal_count", "restore_state",
        "revocation_count",
    ],
    "degraded": ["is_degraded", "partition_flags", "reasons", "seconds_left"],
    "store": [
        "checkpoint_lsn", "damage", "gave_way", "history_floor_lsn", "last_recovery", "last_scrub", "ledger_gone_lsn", "quarantine_bytes",
        "recovery_count",
    ],
    "writer": [
        "checkpoint_failure", "disk_bytes", "disk_bytes_max", "durable_lsn", "format_level", "frames_written", "is_poisoned",
        "is_writable", "witnessed_lsn",
    ],
    "recovery": [
        "checkpoint_lsn", "findings", "is_damage", "last_lsn", "replayed_records", "rewrote_last_frame", "verdict",
    ],
}  # fmt: skip
"""The allow-list: what a part may hold. A field that comes later belongs here, and in the specification."""

SCOPE_FIELDS = [
    "active_version", "applied_version", "expires_at_s", "has_pending", "is_expired", "is_fallen_back", "is_refresh_due",
    "previous_count", "refresh_after_s", "withdrawn_reason",
]  # fmt: skip


def part(status: dict[str, Any], name: str) -> dict[str, Any]:
    """A part of a status; the whole for an empty name."""
    found: dict[str, Any] = status[name] if name else status
    return found


def test_every_field_is_on_the_list_and_nothing_else_is_there() -> None:
    for it in (ready(), furnished()):
        status = it.cluster.status()
        assert {name: sorted(part(status, name)) for name in FIELDS} == FIELDS
        assert all(sorted(scope) == SCOPE_FIELDS for scope in status["snapshots"].values())
        assert all(sorted(update) == ["current", "has_pending"] for update in status["updates"].values())


def test_the_shape_is_named_versioned_and_json() -> None:
    status = furnished().cluster.status()
    assert (status["format"], status["format_version"]) == (STATUS_FORMAT, STATUS_VERSION) == ("rap-state-status", 1)
    assert json.loads(json.dumps(status)) == status


def test_a_fresh_member_says_what_it_knows_and_no_more() -> None:
    it = ready()
    status = it.cluster.status()
    assert (status["cluster"], status["fail_closed"], status["trusted_time_s"]) == (CLUSTER, None, it.fabric.issued_at_s)
    assert status["identity"]["protection"] == "memory"
    assert (status["trust"]["bundle_version"], status["trust"]["restore_state"]) == (1, "normal")
    assert (status["snapshots"], status["updates"], status["peer_count"], status["route_count"]) == ({}, {}, 0, 0)
    assert status["horizon"] == status["writer"]["durable_lsn"] == it.cluster.view().lsn


def test_a_furnished_cluster_is_told_in_sizes_versions_and_states() -> None:
    status = furnished().cluster.status()
    assert (status["peer_count"], status["telemetry_waiting"]) == (2, 1)
    assert sorted(status["snapshots"]) == ["peers", "policy", "routes", "services", "updates"]
    assert [scope["active_version"] for scope in status["snapshots"].values()] == [[1, 1]] * 5
    assert status["degraded"]["is_degraded"] is False and status["degraded"]["reasons"] == []


def test_neither_a_secret_nor_the_topology_is_told() -> None:
    it = furnished()
    texts = [json.dumps(it.cluster.status()), json.dumps(it.kit.store.report())]
    bundle = it.cluster.view().trust.bundle
    hidden = ["node-1", "node-2", "svc-a", "svc-b", "last-relay", "queue length", it.kit.keys.key_encryption_key().hex()]
    hidden += [it.fabric.fingerprint, *it.fabric.root_fingerprints]
    hidden += [kid.hex() for kid in bundle.signing_kids] if bundle else []
    assert [word for word in hidden for text in texts if word in text] == []


def test_refresh_and_expiry_begin_in_the_second_they_name() -> None:
    it = ready()
    start = it.fabric.issued_at_s
    it.cluster.activate(it.fabric.peers(["node-1"], refresh_after_s=start + 10, expires_at_s=start + 20))
    told = []
    for passed in (9, 1, 9, 1):
        it.kit.clock.advance(seconds=passed)
        scope = it.cluster.status()["snapshots"]["peers"]
        told.append((scope["is_refresh_due"], scope["is_expired"]))
    assert told == [(False, False), (True, False), (True, False), (True, True)]


def test_degraded_mode_and_its_reasons_are_told() -> None:
    it = ready()
    it.cluster.health.enter_degraded("no-contact")
    degraded = it.cluster.status()["degraded"]
    assert (degraded["is_degraded"], degraded["reasons"]) == (True, ["no-contact"])


def test_the_last_opening_is_told() -> None:
    it = furnished()
    horizon = it.cluster.status()["horizon"]
    it.kit.power_cut()
    recovery = it.cluster.status()["recovery"]
    assert (recovery["is_damage"], recovery["last_lsn"]) == (False, horizon)
    assert all(isinstance(finding, str) for finding in recovery["findings"])
