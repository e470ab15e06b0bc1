"""Verified values cannot be made, changed, copied or unpickled outside the verification."""

import copy
import dataclasses
import pickle
from pathlib import Path
from typing import Any

import pytest

import rap_projections.verified
from rap_journal.errors import MisuseError
from rap_projections.testing import Fabric
from rap_projections.verification import verify_snapshot
from rap_projections.verified import (
    Verified,
    VerifiedArtifact,
    VerifiedBundle,
    VerifiedHead,
    VerifiedIncrement,
    VerifiedRestoreTicket,
    VerifiedResult,
    VerifiedSnapshot,
)
from tests.projections.documents_support import CLUSTER, NODE, NOW_S

FABRIC = Fabric(CLUSTER)
COMMON: dict[str, Any] = {
    "data": b"",
    "cluster_id": CLUSTER,
    "scope": "peers",
    "content_id": bytes(32),
    "signers": (),
    "trust_version": 1,
    "unchanged": False,
}
OWN: dict[type[Verified], dict[str, Any]] = {
    VerifiedBundle: {"bundle": FABRIC.draft, "roots_ever": frozenset()},
    VerifiedSnapshot: {"snapshot": None},
    VerifiedHead: {"head": None},
    VerifiedIncrement: {"increment": None},
    VerifiedResult: {"snapshot": None, "base_content_id": bytes(32)},
    VerifiedArtifact: {"artifact": None},
    VerifiedRestoreTicket: {"ticket": None},
}


def a_snapshot() -> VerifiedSnapshot:
    return verify_snapshot(FABRIC.peers(["node-secret"], version=1), FABRIC.trust(), trusted_s=NOW_S, recipient=NODE)


@pytest.mark.parametrize("kind", OWN)
def test_verified_value_cannot_be_made_by_hand(kind: type[Verified]) -> None:
    """Mutation: drop the check of `mint`."""
    with pytest.raises(MisuseError, match="made by verification alone"):
        kind(mint=object(), **COMMON, **OWN[kind])
    with pytest.raises(TypeError):
        kind(**COMMON, **OWN[kind])


def test_verified_value_cannot_be_changed_replaced_copied_or_pickled() -> None:
    snapshot = a_snapshot()
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.scope = "routes"  # type: ignore[misc] # the point of the test
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(snapshot, scope="routes")  # type: ignore[call-arg]  # what is left out is what keeps it from being made
    for leave in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(MisuseError, match="cannot be copied"):
            leave(snapshot)


def test_representation_shows_neither_document_nor_content() -> None:
    shown = repr(a_snapshot())
    assert shown == "VerifiedSnapshot(cluster_id='eu-west-1', scope='peers', trust_version=1, unchanged=False)"


def test_only_the_verification_makes_verified_values() -> None:
    folder = Path(rap_projections.verified.__file__).parents[2]
    users = {
        path.name for path in folder.parent.rglob("*.py") if "import MINT" in (text := path.read_text()) or "    MINT,\n" in text
    }
    assert users - {Path(__file__).name} == {"bundle_verification.py", "increments.py", "verification.py"}
