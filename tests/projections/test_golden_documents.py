"""The golden documents on disk get the verdicts of their list, are what the issuer makes today, and fit the CDDL of DOCUMENTS.md."""

import hashlib
import json
from typing import Any

import pytest

from rap_projections.bundle_verification import verify_bootstrap, verify_next_bundle
from rap_projections.documents import Floor, Scope, Version
from rap_projections.refusals import RefusedError
from rap_projections.trust_in_force import TrustInForce
from rap_projections.verification import (
    Recipient,
    check_snapshot,
    verify_artifact,
    verify_head,
    verify_increment,
    verify_restore_ticket,
    verify_snapshot,
)
from rap_projections.verified import Verified, VerifiedBundle
from tests.projections.documents_support import CERTIFICATE_REASONS
from tests.projections.golden_documents import FOLDER, documents_json, golden_cases, hex_text

LIST: dict[str, Any] = json.loads((FOLDER / "documents.json").read_text())
ENTRIES: list[dict[str, Any]] = LIST["documents"]


def golden_bytes(name: str) -> bytes:
    return bytes.fromhex((FOLDER / name).read_text())


def trust_of(names: list[str]) -> VerifiedBundle:
    """The last of a chain of golden bundles, verified from the first, which is pinned in the list."""
    pinned = next(entry for entry in ENTRIES if entry["file"] == f"{names[0]}.hex")
    current = verify_bootstrap(
        golden_bytes(pinned["file"]), cluster_id=LIST["cluster_id"], expect=pinned["expect"], trusted_s=None
    )
    for name in names[1:]:
        current = verify_next_bundle(golden_bytes(f"{name}.hex"), current, trusted_s=None)
    return current


def snapshot_options(entry: dict[str, Any], trust: TrustInForce) -> dict[str, Any]:
    floors = {
        Scope(scope): Floor(Version(floor["generation"], floor["version"]), bytes.fromhex(floor["content_id"]))
        for scope, floor in entry.get("floors", {}).items()
    }
    head = verify_head(golden_bytes(f"{entry['head']}.hex"), trust, trusted_s=LIST["trusted_s"]) if "head" in entry else None
    return {"floors": floors, "head": head, "scope": Scope(entry["scope"]) if "scope" in entry else None}


def judge(entry: dict[str, Any]) -> Verified:
    data, trusted_s = golden_bytes(entry["file"]), LIST["trusted_s"]
    if entry["call"] == "bootstrap":
        expect = entry.get("expect") or hashlib.sha256(data).hexdigest()
        return verify_bootstrap(data, cluster_id=LIST["cluster_id"], expect=expect, trusted_s=trusted_s)
    current = trust_of(entry["trust"])
    trust = TrustInForce.of(current)
    me = Recipient(LIST["node_id"], frozenset(LIST["roles"]))
    match entry["call"]:
        case "next-bundle":
            return verify_next_bundle(data, current, trusted_s=trusted_s)
        case "head":
            return verify_head(data, trust, trusted_s=trusted_s)
        case "restore-ticket":
            return verify_restore_ticket(data, trust, trusted_s=trusted_s)
        case "artifact":
            return verify_artifact(data, trust, trusted_s=trusted_s, recipient=me)
        case "increment":
            return verify_increment(data, trust, trusted_s=trusted_s, recipient=me)
    return verify_snapshot(data, trust, trusted_s=trusted_s, recipient=me, **snapshot_options(entry, trust))


def verdict_of(entry: dict[str, Any]) -> dict[str, str]:
    try:
        return {"verified": judge(entry).content_id.hex()}
    except RefusedError as refusal:
        return {"rule": refusal.rule, "reason": str(refusal.reason)}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"].removesuffix(".hex"))
def test_golden_document_gets_its_verdict(entry: dict[str, Any]) -> None:
    assert verdict_of(entry) == entry["verdict"]


@pytest.mark.parametrize(
    "entry", [entry for entry in ENTRIES if entry["call"] == "snapshot"], ids=lambda entry: entry["file"].removesuffix(".hex")
)
def test_check_reports_the_same_rule_as_verify_for_every_golden_snapshot(entry: dict[str, Any]) -> None:
    trust = TrustInForce.of(trust_of(entry["trust"]))
    me = Recipient(LIST["node_id"], frozenset(LIST["roles"]))
    data = golden_bytes(entry["file"])
    report = check_snapshot(data, trust, trusted_s=LIST["trusted_s"], recipient=me, **snapshot_options(entry, trust))
    assert (report.refusal.rule if report.refusal else None) == entry["verdict"].get("rule")
    assert report.ok == ("verified" in entry["verdict"])


def test_golden_files_are_what_the_issuer_makes_today() -> None:
    cases = golden_cases()
    made = {f"{case.name}.hex": hex_text(case.data) for case in cases} | {"documents.json": documents_json(cases)}
    assert {path.name: path.read_text() for path in sorted(FOLDER.iterdir())} == dict(sorted(made.items()))


def test_every_reason_that_a_document_can_get_has_a_golden_document() -> None:
    """But for the size, which would take megabytes, and for reasons that are no verdict on a document by itself."""
    without = {
        "too_large",
        "wrong_base",
        "wrong_key",
        "wrong_artifact",
        "ticket_mismatch",
        "bundle_too_old",
        *CERTIFICATE_REASONS,
    }
    seen = {entry["verdict"].get("reason") for entry in ENTRIES} - {None}
    assert seen == {kind.word for kind in RefusedError.__subclasses__()} - without
