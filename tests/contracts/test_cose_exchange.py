"""Our COSE and that of another implementation, `cwt`, understand each other: each verifies what the other signs, and refuses forgeries.

`cwt` needs an older cbor2 than the store, so it has an environment of its own; ``make cwt`` makes it.
"""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rap_journal.deterministic_cbor import encode
from rap_projections.bundle_verification import verify_bootstrap, verify_next_bundle
from rap_projections.cose import ALG, ED25519, EDDSA, GENERAL, KID, SIGN1_TAG, SIGN_TAG, TYP, parse_envelope, verify_signature
from rap_projections.documents import DocumentType
from rap_projections.refusals import BadSignature, Malformed
from rap_projections.signed_document import CLAIMS, Claims, external_aad, media_type, open_document
from rap_projections.testing import Fabric
from rap_projections.testing.issuing import IssuerKey, tampered
from rap_projections.verification import verify_snapshot
from tests.conftest import Tally
from tests.projections.documents_support import CLUSTER, NODE, NOW_S, payload_of

PEER = Path(__file__).with_name("cwt_peer.py")
PYTHON = Path(os.environ.get("RAP_CWT_PYTHON") or PEER.parents[2] / ".venv" / "cwt" / "bin" / "python")
BUNDLE = Claims("bundle", CLUSTER, "cluster")
PEERS = Claims("snapshot", CLUSTER, "peers")


def ask(*requests: dict[str, Any]) -> list[dict[str, str]]:
    """The answers of the other side; skips the calling test, visibly, where it is not installed."""
    if not PYTHON.exists():
        pytest.skip("cwt is not installed in an environment of its own (make cwt)")
    run = subprocess.run([PYTHON, "-I", PEER], input=json.dumps(requests), capture_output=True, text=True, check=True, timeout=60)
    answers: list[dict[str, str]] = json.loads(run.stdout)
    return answers


def secret(key: IssuerKey) -> dict[str, str]:
    private = key.private_key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    return {"kid": key.kid.hex(), "x": key.public_key.hex(), "d": private.hex()}


def public(key: IssuerKey, algorithm: int = ED25519) -> dict[str, Any]:
    return {"kid": key.kid.hex(), "x": key.public_key.hex(), "alg": algorithm}


def signer(key: IssuerKey, claims: Claims, algorithm: int = ED25519) -> dict[str, Any]:
    labels = [(ALG, algorithm), (KID, {"hex": key.kid.hex()}), (TYP, media_type(claims.document_type)), (CLAIMS, list(claims))]
    return {"key": secret(key), "protected": labels}


def signing(call: str, payload: bytes, claims: Claims, *keys: IssuerKey, algorithm: int = ED25519) -> dict[str, Any]:
    signers = [signer(key, claims, algorithm) for key in keys]
    return {"call": call, "payload": payload.hex(), "aad": external_aad(claims).hex(), "signers": signers}


def verifying(data: bytes, claims: Claims, key: IssuerKey, algorithm: int = ED25519) -> dict[str, Any]:
    return {"call": "verify", "cose": data.hex(), "aad": external_aad(claims).hex(), "keys": [public(key, algorithm)]}


@pytest.fixture
def fabric() -> Fabric:
    return Fabric(CLUSTER)


def test_cwt_verifies_our_snapshot_and_bundle_and_refuses_them_changed(fabric: Fabric, tally: Tally) -> None:
    """Mutation: another order, context or external data in `signature_input`, on the side that signs and the one that verifies."""
    key, roots = fabric.key("peers"), [fabric.key(f"root-{number}") for number in (1, 2, 3)]
    snapshot, older = fabric.peers(["node-1", "node-2"]), fabric.peers(["node-1"], algorithm=EDDSA)
    bundle = fabric.bootstrap
    good = [verifying(snapshot, PEERS, key), verifying(older, PEERS, key, EDDSA)] + [
        verifying(bundle, BUNDLE, it) for it in roots
    ]
    bad = [
        verifying(tampered(snapshot), PEERS, key),
        verifying(tampered(snapshot, at=snapshot.index(b"node-2")), PEERS, key),
        verifying(snapshot, PEERS._replace(cluster_id="us-east-1"), key),
        verifying(snapshot, PEERS, fabric.key("routes")),
        verifying(tampered(bundle), BUNDLE, roots[-1]),
        verifying(bundle, PEERS, roots[0]),
    ]
    answers = ask(*good, *bad)
    payloads = [payload_of(snapshot), payload_of(older)] + 3 * [payload_of(bundle, DocumentType.BUNDLE)]
    assert [bytes.fromhex(answer.get("payload", "")) for answer in answers[: len(good)]] == payloads
    assert all("refused" in answer for answer in answers[len(good) :])
    tally("cwt, signed by us", Counter("verified" if "payload" in answer else "refused as forged" for answer in answers))


def test_we_verify_the_snapshot_and_bundle_that_cwt_signs_and_refuse_them_changed(fabric: Fabric, tally: Tally) -> None:
    """A whole document, not only the signature: header, claims and payload pass every rule. The bytes are those that we write."""
    ours, trust = fabric.peers(["node-1"]), fabric.trust()
    requests = [
        signing("sign1", payload_of(ours), PEERS, fabric.key("peers")),
        signing("sign1", payload_of(ours), PEERS, fabric.key("peers"), algorithm=EDDSA),
        signing("sign", payload_of(fabric.bootstrap, DocumentType.BUNDLE), BUNDLE, *(fabric.key(f"root-{n}") for n in (1, 2, 3))),
    ]
    snapshot, older, bundle = (bytes.fromhex(answer["cose"]) for answer in ask(*requests))
    assert (snapshot, bundle) == (ours, fabric.bootstrap)
    options: dict[str, Any] = {"trusted_s": NOW_S, "recipient": NODE}
    content_ids = {verify_snapshot(data, trust, **options).content_id for data in (snapshot, older)}
    assert content_ids == {fabric.content_id(ours)}
    verified = verify_bootstrap(bundle, cluster_id=CLUSTER, expect=fabric.fingerprint, trusted_s=NOW_S)
    assert verify_next_bundle(bundle, verified, trusted_s=NOW_S).unchanged
    for forged in (tampered(snapshot), tampered(older)):
        with pytest.raises(BadSignature):
            verify_snapshot(forged, trust, **options)
    with pytest.raises(BadSignature):
        verify_next_bundle(tampered(bundle), verified, trusted_s=NOW_S)
    tally("cwt, signed by cwt", {"verified": 3, "refused as forged": 3})


def test_structures_of_cwt_with_other_headers_are_cose_to_us_but_no_document(fabric: Fabric) -> None:
    """A COSE_Sign1 and COSE_Sign as that library makes them by default: alg and nothing else."""
    key, payload, aad = fabric.key("peers"), b"This is the content.", b"aad"
    plain = [{"key": secret(key), "protected": [[ALG, ED25519]]}]
    common = {"payload": payload.hex(), "aad": aad.hex(), "signers": plain}
    for answer, tag in zip(ask({"call": "sign1", **common}, {"call": "sign", **common}), (SIGN1_TAG, SIGN_TAG), strict=True):
        data = bytes.fromhex(answer["cose"])
        envelope = parse_envelope(data, tag, rules=GENERAL, size_max=1 << 12)
        verify_signature(envelope, envelope.signatures[0], key.public_key, external_aad=aad)
        assert envelope.payload == payload
        kind = DocumentType.SNAPSHOT if tag == SIGN1_TAG else DocumentType.BUNDLE
        with pytest.raises(Malformed, match="not exactly alg, kid, typ and claims"):
            open_document(data, kind)


def test_protected_header_of_the_exchange_is_the_one_we_write(fabric: Fabric) -> None:
    """What the requests above say is what a document has, in this order."""
    labels = dict(signer(fabric.key("peers"), PEERS)["protected"]) | {KID: fabric.key("peers").kid}
    assert encode(labels) == open_document(fabric.peers([]), DocumentType.SNAPSHOT).envelope.signatures[0].protected
