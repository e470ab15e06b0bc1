"""The golden documents on disk get the verdicts of their list, are what the issuer makes today, and fit the CDDL of DOCUMENTS.md."""

import hashlib
import json
from collections import Counter
from functools import cache
from typing import Any

import pytest

from rap_projections.bundle_verification import verify_bootstrap, verify_next_bundle
from rap_projections.documents import Floor, Scope, Version
from rap_projections.increments import verify_result
from rap_projections.refusals import BUNDLE_RULES, RULES, RefusedError
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
from tests.conftest import Tally
from tests.projections.documents_support import CERTIFICATE_REASONS
from tests.projections.golden_documents import FOLDER, documents_json, golden_cases, hex_text

LIST: dict[str, Any] = json.loads((FOLDER / "documents.json").read_text())
ENTRIES: list[dict[str, Any]] = LIST["documents"]


def golden_bytes(name: str) -> bytes:
    return bytes.fromhex((FOLDER / name).read_text())


def trust_of(names: list[str]) -> VerifiedBundle:
    return verified_chain(tuple(names))


@cache
def verified_chain(names: tuple[str, ...]) -> VerifiedBundle:
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
            return judge_increment(entry, data, trust, me)
    return verify_snapshot(data, trust, trusted_s=trusted_s, recipient=me, **snapshot_options(entry, trust))


def judge_increment(entry: dict[str, Any], data: bytes, trust: TrustInForce, me: Recipient) -> Verified:
    """An increment by itself, and applied to its base where the list names one."""
    trusted_s = LIST["trusted_s"]
    increment = verify_increment(data, trust, trusted_s=trusted_s, recipient=me)
    if "base" not in entry:
        return increment
    # The base was accepted under the first bundle, whatever was revoked or demanded since.
    first = TrustInForce.of(trust_of(["bundle-1"]))
    base = verify_snapshot(golden_bytes(f"{entry['base']}.hex"), first, trusted_s=trusted_s, recipient=me)
    options = snapshot_options(entry, trust)
    del options["scope"]
    verify_result(increment, base.snapshot, base.content_id, trust, trusted_s=trusted_s, recipient=me, **options)
    return increment


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


NO_DOCUMENT = {
    "wrong_artifact": "it is said of the bytes of an artifact, not of the document that names them",
    "ticket_mismatch": "it is said of a ticket beside the request of one store, and the tests of restoring show it",
    "bundle_too_old": "it is said of a bundle beside the floors of one store, and the tests of joining show it",
    **dict.fromkeys(CERTIFICATE_REASONS | {"wrong_key"}, "it is said of a certificate, which is X.509 and has its own tests"),
}
"""Reasons without a golden document, and why."""

TOO_LARGE_TO_KEEP = {("bundle", "size"): "the file would have half a megabyte; the head that is too large shows the same rule"}
"""Rules without a golden document of that kind, and why."""


def test_every_reason_has_a_bad_golden_document() -> None:
    seen = {entry["verdict"].get("reason") for entry in ENTRIES} - {None}
    assert seen == {kind.word for kind in RefusedError.__subclasses__()} - set(NO_DOCUMENT)


def test_every_rule_has_a_bad_golden_document_of_each_kind() -> None:
    """Rules for bundles are shown by bundles, the others by other documents."""
    bundles = {"bootstrap", "next-bundle"}
    seen = {("bundle" if entry["call"] in bundles else "other", entry["verdict"].get("rule")) for entry in ENTRIES}
    wanted = {("bundle", rule) for rule in BUNDLE_RULES} | {("other", rule) for rule in RULES}
    assert seen - {("bundle", None), ("other", None)} == wanted - set(TOO_LARGE_TO_KEEP)


def test_every_type_of_document_has_good_and_bad_golden_documents(tally: Tally) -> None:
    verdicts = Counter((entry["call"], "verified" if "verified" in entry["verdict"] else "refused") for entry in ENTRIES)
    assert set(verdicts) == {(entry["call"], verdict) for entry in ENTRIES for verdict in ("verified", "refused")}
    for call in {call for call, _verdict in verdicts}:
        tally(f"golden documents, {call}", {verdict: verdicts[call, verdict] for verdict in ("verified", "refused")})
