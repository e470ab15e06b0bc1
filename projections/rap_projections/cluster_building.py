"""Making a cluster's journal with what it starts from: a bootstrap bundle, and what is remembered of an earlier stay.

Rules this file keeps:

- Everything is written into a folder whose name does not count yet; whoever calls renames it.
- Joining again never lowers a floor that the store remembers, and does not make a state that was in doubt a sound one (trust, 15, 19).

Example::

    folders.build_cluster(name, lambda folder: pin(cluster_core(folders, machine, name, folder), verified, remembered))
"""

import hashlib

from rap_projections import trust_decisions
from rap_projections.documents import CLUSTER_WIDE
from rap_projections.event_kinds import HEALTH, TRUST, Event
from rap_projections.folding import FoldedState
from rap_projections.health_decisions import decide_uptime
from rap_projections.journaled_state import JournaledState, Machine
from rap_projections.known_floors import NORMAL, KnownFloors
from rap_projections.node_time import Now
from rap_projections.refusals import Equivocation, Rollback
from rap_projections.store_folders import StoreFolders, cluster_setup
from rap_projections.trust import TrustView
from rap_projections.trust_decisions import NewBundle, decide_bundles, decide_instants, decide_pin, decide_restore_marked
from rap_projections.verified import VerifiedBundle
from rap_projections.witness_floors import decide_versions_raised, witness_floors

NONCE_BYTES = 32
"""Length of the nonce a ticket must name (trust, 19)."""


def cluster_core(folders: StoreFolders, machine: Machine, name: str, folder: str) -> JournaledState:
    """The journal and state of cluster `name` in the folder of this name, not opened yet."""
    setup = cluster_setup(folders.keys, folders.randomness, folders.policy, folders.release)
    return JournaledState(lambda: folders.cluster(folder), setup, machine, folders.release.cluster, name)


def check_not_below(verified: VerifiedBundle, floors: KnownFloors) -> None:
    """Raise `Rollback` or `Equivocation` where a bundle is older than one that this store accepted before, or another of its version."""
    version, content_id = floors.bundle
    if verified.bundle.version < version:
        raise Rollback(
            f"bundle {verified.bundle.version} is below the floor {version}", cluster=verified.cluster_id, document_type="bundle"
        )
    if verified.bundle.version == version and content_id not in (b"", verified.content_id):
        what = f"another bundle of version {version} was accepted before"
        refusal = Equivocation(what, known_content_id=content_id, other_content_id=verified.content_id)
        refusal.concerning(cluster=verified.cluster_id, document_type="bundle")
        raise refusal


def pin(core: JournaledState, verified: VerifiedBundle, floors: KnownFloors) -> None:
    """Write a verified bootstrap as the beginning of a journal, on top of the floors that are remembered of the cluster."""
    core.floors_of = witness_floors
    core.open()
    try:
        stored = core.shelf.store(TRUST, verified.data)
        bundle = NewBundle(verified.bundle, verified.content_id, stored)

        def decide(now: Now) -> tuple[Event, ...]:
            trust, health = core.state.view(TRUST), core.state.view(HEALTH)
            pinned = decide_pin(trust, fingerprint=hashlib.sha256(verified.data).digest(), method="sha256")
            instants = decide_instants(
                trust, kids=verified.signers, signed_s=max(verified.bundle.issued_at_s, floors.time[0]),
                uptime_s=health.used_s(now, core.boot_id), clock_step_s_max=0,
            )  # fmt: skip
            uptime = decide_uptime(health, now, core.boot_id)
            return (*uptime, *pinned, *decide_bundles(trust, [bundle], now), *instants)

        core.execute("trust", decide)
        keep_floors(core, floors, "memory")
        if floors.restore != NORMAL:
            mark_restored(core, reason="left", backup_digest=b"")
    finally:
        core.close()


def keep_floors(core: JournaledState, floors: KnownFloors, origin: str) -> None:
    """Raise the floors of an open journal to `floors`. `origin` says who knows them."""
    core.execute("floors", lambda now: decide_floors(core.state, floors, origin), durable=True)


def decide_floors(state: FoldedState, floors: KnownFloors, origin: str) -> tuple[Event, ...]:
    """What raises a state's floors to `floors`; nothing where it knows as much."""
    trust: TrustView = state.view(TRUST)
    (version, content_id), (digest, count) = floors.bundle, floors.revocations
    events: list[Event] = []
    if version >= trust.floor.version.version:
        # A newer bundle may have dropped revocations that are past: who knows an older one knows more of them, and not better.
        events += trust_decisions.decide_floor_raised(
            trust, bundle_version=version, bundle_content_id=content_id, revocation_digest=digest, revocation_count=count,
            origin=origin,
        )  # fmt: skip
    return (*events, *decide_versions_raised(state, (*floors.scopes, (CLUSTER_WIDE, *floors.head)), origin))


def mark_restored(core: JournaledState, *, reason: str, backup_digest: bytes) -> None:
    """Write down that the cluster has not accepted this state yet, with a fresh nonce for its ticket."""
    nonce = core.random_bytes(NONCE_BYTES)
    core.execute(
        "trust",
        lambda now: decide_restore_marked(core.state.view(TRUST), reason=reason, backup_digest=backup_digest, nonce=nonce),
    )
