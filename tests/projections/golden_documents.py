"""Makes the golden documents, good and bad, and the worked example of DOCUMENTS.md.

``python -m tests.projections.golden_documents`` writes them; the tests compare. A file that would change is a change of the interface.

Example::

    write_files(golden_cases())
"""

import json
import re
from pathlib import Path
from typing import Any

from rap_journal.deterministic_cbor import decode, encode
from rap_projections.cose import ALG, KID, TYP, signature_input
from rap_projections.documents import Audience, DocumentType, RevocationKind, Version
from rap_projections.signed_document import CLAIMS, external_aad, open_document
from rap_projections.testing.entries import make_peer, make_reference, make_service
from rap_projections.testing.issuing import tampered
from tests.projections.documents_support import CLUSTER, NOW_S, header_map, payload_of, sign1
from tests.projections.golden_case import PEERS, Golden, floor_of, new_fabric, refused_case, verified_case
from tests.projections.golden_other_types import cases_of_other_types

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "golden" / "documents"
PAGE = ROOT / "projections" / "DOCUMENTS.md"


def golden_cases() -> list[Golden]:
    """Every golden document, in the order of the list."""
    return [*_good(), *_bad_envelopes(), *_bad_trust(), *_bad_payloads(), *_bad_bundles(), *cases_of_other_types()]


def _good() -> list[Golden]:
    fabric = new_fabric()
    peers = fabric.peers(["node-1", "node-2"])
    cases = [
        verified_case("bundle-1", "bootstrap", fabric.bootstrap, DocumentType.BUNDLE, (), expect=fabric.fingerprint),
        verified_case("peers", "snapshot", peers, DocumentType.SNAPSHOT),
        verified_case("peers-again", "snapshot", peers, DocumentType.SNAPSHOT, floors=floor_of(fabric, peers, "peers", 1, 1)),
        verified_case(
            "policy",
            "snapshot",
            fabric.policy(fallback_allowed=True, high_risk_operations=("resolve_secret",)),
            DocumentType.SNAPSHOT,
        ),
        verified_case(
            "routes", "snapshot", fabric.routes([("node-2", ()), ("node-2", ("node-3", "node-4"))]), DocumentType.SNAPSHOT
        ),
        verified_case("services", "snapshot", fabric.services(["svc-a"], audience=["node-1"]), DocumentType.SNAPSHOT),
        verified_case(
            "updates", "snapshot", fabric.updates(["agent"], audience=Audience(False, role="edge")), DocumentType.SNAPSHOT
        ),
        verified_case("peers-eddsa", "snapshot", fabric.peers(["node-1"], algorithm=-8), DocumentType.SNAPSHOT),
        verified_case("head", "head", fabric.head(), DocumentType.HEAD),
        verified_case("artifact", "artifact", fabric.artifact(make_reference("agent", 7)), DocumentType.ARTIFACT),
        verified_case("restore-ticket", "restore-ticket", fabric.restore_ticket(), DocumentType.RESTORE_TICKET),
    ]
    increment = fabric.increment(peers, (make_peer("node-2"), make_peer("node-3")))
    cases.append(verified_case("peers-increment", "increment", increment, DocumentType.INCREMENT))
    fabric.revoke_key("peers")
    cases.append(verified_case("bundle-2-revokes-a-key", "next-bundle", fabric.bundles[1], DocumentType.BUNDLE))
    fabric.next_bundle(roots=("root-2", "root-3", "root-4"))
    chain = ("bundle-1", "bundle-2-revokes-a-key")
    cases.append(verified_case("bundle-3-rotates-a-root", "next-bundle", fabric.bundles[2], DocumentType.BUNDLE, chain))
    return cases


def _bad_envelopes() -> list[Golden]:
    fabric = new_fabric()
    good = fabric.peers(["node-1", "node-2"])
    payload, right = payload_of(good), header_map(fabric, PEERS, "peers")

    def made(header: Any, **options: Any) -> bytes:
        return sign1(fabric, header, payload, "peers", PEERS, **options)

    malformed = {
        "empty": b"",
        "truncated": good[:-1],
        "bytes-after-the-end": good + b"\x00",
        "untagged": good[1:],
        "wrong-tag": b"\xd1" + good[1:],
        "tag-in-a-long-form": b"\xd8\x12" + good[1:],
        "indefinite-array": b"\xd2\x9f" + good[2:] + b"\xff",
        "tag-within": b"\xd2\x84\xd8\x18" + good[2:],
        "unprotected-not-empty": made(right, unprotected={KID: fabric.key("peers").kid}),
        "critical-label": made(right | {2: [CLAIMS]}),
        "unknown-label": made(right | {5: b"iv"}),
        "claims-missing": made({label: right[label] for label in (ALG, KID, TYP)}),
        "label-twice": made(b"\xa5\x01\x32" + encode(right)[1:]),
        "header-not-deterministic": made(b"\xa4" + encode({KID: right[KID]})[1:] + encode({ALG: right[ALG]})[1:] + _tail(right)),
        "short-kid": made(right | {KID: right[KID][:8]}),
        "claim-with-a-dot": made(right | {CLAIMS: ["snapshot", "../eu", "peers"]}),
    }
    return [
        *(refused_case(f"bad-{name}", data, "structure", "malformed") for name, data in malformed.items()),
        refused_case("bad-algorithm-es256", made(right | {ALG: -7}), "structure", "unsupported_algorithm"),
        refused_case("bad-algorithm-text", made(right | {ALG: "Ed25519"}), "structure", "unsupported_algorithm"),
        refused_case("bad-format-2", made(right | {TYP: "application/vnd.rap.snapshot.v2+cose"}), "claims", "unsupported_format"),
        refused_case("bad-other-type", fabric.head(), "claims", "wrong_document_type"),
        refused_case("bad-other-cluster", fabric.peers(["node-1"], cluster_id="us-east-1"), "claims", "wrong_cluster"),
        refused_case("bad-other-scope", fabric.routes([]), "claims", "wrong_scope", scope="peers"),
        refused_case("bad-unknown-scope", fabric.peers([], claimed_scope="secrets"), "claims", "wrong_scope"),
        refused_case("bad-tampered-signature", tampered(good), "signature", "bad_signature"),
        refused_case("bad-tampered-payload", tampered(good, at=good.index(b"node-2") + 5), "signature", "bad_signature"),
        refused_case(
            "bad-foreign-aad",
            sign1(fabric, right, payload, "peers", PEERS._replace(cluster_id="us-east-1")),
            "signature",
            "bad_signature",
        ),
    ]


def _tail(header: dict[Any, Any]) -> bytes:
    return encode({TYP: header[TYP], CLAIMS: header[CLAIMS]})[1:]


def _bad_trust() -> list[Golden]:
    fabric = new_fabric()
    first, second = fabric.peers(["node-1"]), fabric.peers(["node-1", "node-2"])
    other = fabric.peers(["node-9"], version=2)
    nobody = Audience(False, nodes=("node-7",))
    at_two = floor_of(fabric, second, "peers", 1, 2)
    cases = [
        refused_case("bad-stranger", fabric.peers([], sign_with="stranger"), "keys", "unknown_signer"),
        refused_case("bad-usage", fabric.peers([], sign_with="routes"), "keys", "wrong_usage"),
        refused_case("bad-root-as-signer", fabric.peers([], sign_with="root-1"), "keys", "unknown_signer"),
        refused_case("bad-older-version", first, "floor", "rollback", floors=at_two),
        refused_case("bad-equivocation", other, "floor", "equivocation", floors=at_two),
        refused_case("bad-generation", fabric.peers([], version=Version(2, 9)), "floor", "wrong_generation"),
        refused_case("bad-expired", fabric.peers([], expires_at_s=NOW_S), "time", "expired"),
        refused_case("bad-audience", fabric.peers([], audience=nobody), "audience", "not_for_this_node"),
        refused_case("bad-role", fabric.peers([], audience=Audience(False, role="core")), "audience", "not_for_this_node"),
        refused_case("bad-head-expired", fabric.head(expires_at_s=NOW_S), "time", "expired", call="head"),
        refused_case(
            "bad-ticket-threshold",
            fabric.restore_ticket(sign_with="root-1"),
            "threshold",
            "threshold_not_met",
            call="restore-ticket",
        ),
    ]
    return cases + _bad_after_later_bundles()


def _bad_after_later_bundles() -> list[Golden]:
    revoking = new_fabric()
    voided = revoking.peers(["node-1"])
    revoking.revoke_key("peers")
    raising = new_fabric()
    rules = tuple(rule._replace(minimum_version=5) for rule in raising.draft.scopes)
    minimum = raising.next_bundle(scopes=rules)
    demanding = new_fabric()
    listed = demanding.peers(["node-1"])
    head = demanding.head()
    demanding.next_bundle(requires_head=True)
    content = new_fabric()
    bad_content = content.peers(["node-6"])
    content.revoke(RevocationKind.CONTENT, content.content_id(bad_content))
    step = {"call": "next-bundle"}
    return [
        refused_case("bad-revoked-key", voided, "keys", "revoked", trust=("bundle-1", "bundle-2-revokes-a-key")),
        verified_case("bundle-2-revokes-content", step["call"], content.bundles[1], DocumentType.BUNDLE),
        refused_case("bad-revoked-content", bad_content, "keys", "revoked", trust=("bundle-1", "bundle-2-revokes-content")),
        verified_case("bundle-2-sets-minimums", step["call"], minimum, DocumentType.BUNDLE),
        refused_case(
            "bad-minimum", raising.peers([], version=4), "floor", "below_minimum", trust=("bundle-1", "bundle-2-sets-minimums")
        ),
        verified_case("bundle-2-requires-a-head", step["call"], demanding.bundles[1], DocumentType.BUNDLE),
        verified_case("head-for-bundle-2", "head", head, DocumentType.HEAD),
        refused_case("bad-head-missing", listed, "head", "head_required", trust=("bundle-1", "bundle-2-requires-a-head")),
        refused_case(
            "bad-head-lists-another",
            demanding.peers(["node-2"]),
            "head",
            "head_mismatch",
            trust=("bundle-1", "bundle-2-requires-a-head"),
            head="head-for-bundle-2",
        ),
    ]


def _bad_payloads() -> list[Golden]:
    fabric = new_fabric()
    template: dict[int, Any] = decode(payload_of(fabric.peers(["node-1", "node-2"])))
    peer: dict[int, Any] = template[6][0]

    def signed(payload: bytes) -> bytes:
        return fabric.sign("snapshot", "peers", payload)

    def with_peer(**changes: Any) -> bytes:
        fields = {"id": 0, "endpoints": 1, "digests": 2, "roles": 3}
        return signed(encode(template | {6: [peer | {fields[name]: value for name, value in changes.items()}]}))

    payloads = {
        "not-cbor": signed(b"\xff"),
        "not-a-map": signed(encode([1])),
        "body-missing": signed(encode({key: template[key] for key in range(6)})),
        "key-too-many": signed(encode(template | {7: 0})),
        "long-integer": signed(encode(template).replace(b"\x00\x82\x01\x01", b"\x00\x82\x18\x01\x01", 1)),
        "float": signed(encode(template).replace(b"\x00\x82\x01\x01", b"\x00\x82\xf9\x3c\x00\x01", 1)),
        "tag": signed(encode(template).replace(b"\x00\x82\x01\x01", b"\x00\x82\xc1\x01\x01", 1)),
        "version-0": signed(encode(template | {0: [1, 0]})),
        "boolean-as-number": signed(encode(template | {0: [True, True]})),
        "issued-after-its-end": signed(encode(template | {1: template[3] + 1})),
        "unsorted": signed(encode(template | {6: template[6][::-1]})),
        "twice": signed(encode(template | {6: [peer, peer]})),
        "upper-case-id": with_peer(id="Node-1"),
        "newline-in-id": with_peer(id="node-1\n"),
        "password-in-endpoint": with_peer(endpoints=["quic://user:secret@host.example:4433"]),
        "short-digest": with_peer(digests=[bytes(31)]),
        "text-as-digest": with_peer(digests=["0" * 32]),
    }
    cases = [refused_case(f"bad-payload-{name}", data, "schema", "bad_schema") for name, data in payloads.items()]
    leak = make_service("svc-a")._replace(resource_refs=("password:hunter2",))
    cases.append(refused_case("bad-payload-untyped-reference", fabric.services([leak]), "schema", "bad_schema"))
    query = make_reference("agent")._replace(location="https://artifacts.example/a?token=secret")
    cases.append(refused_case("bad-payload-query-in-location", fabric.updates([query]), "schema", "bad_schema"))
    return cases


def _bad_bundles() -> list[Golden]:
    fabric = new_fabric()
    draft = fabric.draft
    weak = draft.roots[0]._replace(public_key=bytes([1] + [0] * 31))
    forgotten = new_fabric()
    forgotten.revoke_key("peers")
    chain = ("bundle-1", "bundle-2-revokes-a-key")
    pinned: dict[str, Any] = {"call": "bootstrap", "trust": ()}

    def following(name: str, data: bytes, rule: str, reason: str, trust: tuple[str, ...] = ("bundle-1",)) -> Golden:
        return refused_case(name, data, rule, reason, trust=trust, call="next-bundle")

    small = fabric.bundle(roots=tuple(sorted([*draft.roots[1:], weak])))
    return [
        refused_case("bad-bundle-other-fingerprint", fabric.bootstrap, "pin", "wrong_fingerprint", expect="00" * 32, **pinned),
        refused_case("bad-bundle-one-root", fabric.bundle(sign_with="root-1"), "threshold", "threshold_not_met", **pinned),
        refused_case(
            "bad-bundle-one-root-twice", fabric.bundle(sign_with=["root-1", "root-1"]), "threshold", "threshold_not_met", **pinned
        ),
        refused_case("bad-bundle-strangers", fabric.bundle(sign_with=["x", "y"]), "keys", "unknown_signer", **pinned),
        refused_case("bad-bundle-weak-key", small, "schema", "bad_schema", **pinned),
        refused_case("bad-bundle-expired", fabric.bundle(expires_at_s=NOW_S), "time", "expired", **pinned),
        following("bad-bundle-gap", fabric.bundle(3), "floor", "version_gap"),
        following("bad-bundle-equivocation", fabric.bundle(1, clock_step_s_max=1), "floor", "equivocation"),
        following("bad-bundle-old", fabric.bundle(1), "floor", "rollback", chain),
        following(
            "bad-bundle-forgets-a-revocation", forgotten.bundle(3, revocations=()), "revocations", "revocation_dropped", chain
        ),
        following(
            "bad-bundle-lowers-a-minimum",
            fabric.bundle(3, scopes=tuple(rule._replace(minimum_version=4) for rule in draft.scopes)),
            "floor",
            "rollback",
            ("bundle-1", "bundle-2-sets-minimums"),
        ),
    ]


def documents_json(cases: list[Golden]) -> str:
    """The list of golden documents, with how each is judged."""
    defaults = {"cluster_id": CLUSTER, "node_id": "node-1", "roles": ["edge"], "trusted_s": NOW_S}
    return json.dumps(defaults | {"documents": [_entry(case) for case in cases]}, indent=1) + "\n"


def hex_text(data: bytes) -> str:
    """Bytes as lines of 64 hexadecimal digits."""
    return "".join(line + "\n" for line in re.findall(".{1,64}", data.hex()))


def page_blocks(cases: list[Golden]) -> dict[str, str]:
    """The blocks of the worked example in DOCUMENTS.md, by name."""
    case = next(case for case in cases if case.name == "peers")
    document = open_document(case.data, DocumentType.SNAPSHOT)
    signature = document.envelope.signatures[0]
    header, payload = decode(signature.protected), decode(document.envelope.payload)
    aad = external_aad(document.claims)
    diagnostic = "18([\n  <<{}>>,\n  {{}},\n  <<{{\n{}\n  }}>>,\n  {}\n])\n".format(
        _diagnostic(header),
        ",\n".join(f"    {key}: {_diagnostic(value)}" for key, value in payload.items()),
        _diagnostic(signature.signature),
    )
    return {
        "diagnostic": diagnostic,
        "header": hex_text(signature.protected),
        "signed": hex_text(signature_input(document.envelope, signature, aad)),
        "key": hex_text(new_fabric().key("peers").public_key),
        "document": hex_text(case.data),
        "content-id": hex_text(document.content_id()),
    }


def page_with(blocks: dict[str, str], page: str) -> str:
    """The page with each block in its place."""
    for name, text in blocks.items():
        pattern = re.compile(rf"(<!-- golden: {name} -->\n```[a-z-]+\n).*?(?=```)", re.DOTALL)
        page, count = pattern.subn(lambda match, text=text: match[1] + text, page)  # type: ignore[misc]  # bound per round
        assert count == 1, f"the page has {count} places for {name}"
    return page


def write_files(cases: list[Golden]) -> None:
    """Write the golden documents, their list, and the examples of the page; files of no document go."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for stale in FOLDER.iterdir():
        stale.unlink()
    for case in cases:
        (FOLDER / f"{case.name}.hex").write_text(hex_text(case.data))
    (FOLDER / "documents.json").write_text(documents_json(cases))
    PAGE.write_text(page_with(page_blocks(cases), PAGE.read_text()))


def _entry(case: Golden) -> dict[str, Any]:
    first, second = case.verdict
    verdict = {"verified": second} if first == "verified" else {"rule": first, "reason": second}
    return {"file": f"{case.name}.hex", "call": case.call, "trust": list(case.trust), **case.more, "verdict": verdict}


def _diagnostic(value: Any) -> str:
    """A value in the diagnostic notation of RFC 8949, section 8."""
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_diagnostic(key)}: {_diagnostic(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_diagnostic, value)) + "]"
    return json.dumps(value)


if __name__ == "__main__":
    write_files(golden_cases())
