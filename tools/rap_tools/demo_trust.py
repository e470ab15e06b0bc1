"""What the demonstration shows of trust, once the history is written: a rotation, a rollback that is refused, and a signer revoked.

Rules this file keeps: every step is told with what the store answered; whether that is what it must answer is judged here.

Example::

    steps = show_trust(root, keys, network, issued_at_s)
    assert all(step.is_right for step in steps)
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rap_projections import ClusterState, NodeStore
from rap_projections.keys import ProvisioningKeyProvider
from rap_projections.refusals import RefusedError
from rap_tools.demo_network import SLICE_S, DemoNetwork

NEW_ROOTS = ("root-2", "root-3", "root-4")
REVOKED = "spare"
"""A key of the issuer that has signed nothing that is in use."""


class TrustStep(NamedTuple):
    """One step: what was offered, what the store answered, and whether it had to."""

    offered: str
    answer: str
    is_right: bool


def show_trust(root: Path, keys: ProvisioningKeyProvider, network: DemoNetwork, issued_at_s: int) -> tuple[TrustStep, ...]:
    """Rotate a root, offer the bundle before it once more, revoke a signer, and offer what it signs; in the first cluster.

    `issued_at_s`: when the history began, seconds since 1970; what is offered here is issued at its end. Raises what opening and writing raise.
    """
    demo = network.clusters[0]
    fabric = network.fabric(demo, issued_at_s)
    fabric.issued_at_s = issued_at_s + network.slices * SLICE_S
    with NodeStore.open(root, keys=keys) as store:
        cluster = store.cluster(demo.id)
        return (
            _taken(cluster, "the next bundle, with another root key", fabric.next_bundle(roots=NEW_ROOTS)),
            _refused("the bundle before it once more", "rollback", lambda: cluster.trust.update(fabric.bootstrap)),
            _taken(cluster, "a bundle that revokes a signer", fabric.revoke_key(REVOKED)),
            _refused(
                "a policy signed by the revoked key",
                "revoked",
                lambda: cluster.activate(fabric.policy(snapshot={"version": 1_000, "sign_with": REVOKED})),
            ),
        )


def _taken(cluster: ClusterState, offered: str, bundle: bytes) -> TrustStep:
    try:
        receipt = cluster.trust.update(bundle, source="demo")
    except RefusedError as refusal:
        return TrustStep(offered, f"refused: {refusal.reason}", is_right=False)
    version = cluster.status()["trust"]["bundle_version"]
    return TrustStep(offered, f"bundle {version} in force, durable at LSN {receipt.lsn}", receipt.changed and receipt.durable)


def _refused(offered: str, word: str, offer: Callable[[], object]) -> TrustStep:
    try:
        offer()
    except RefusedError as refusal:
        return TrustStep(offered, f"refused: {refusal.reason}", refusal.reason == word)
    return TrustStep(offered, "taken", is_right=False)
