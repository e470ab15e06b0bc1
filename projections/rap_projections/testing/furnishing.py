"""A cluster with something in it: a store that a test may kill, wound, inspect or fill up, without writing a page of calls first.

Rules this file keeps:

- The same store, issuer and clock give the same records, but for the key of the identity, which is random.
- Everything is durable on return. The issuer's time has moved on by two minutes: signed instants give the node time to work.

Example::

    fabric = Fabric("eu-west-1")
    cluster = furnish(store, fabric)
"""

from rap_projections.cluster import ClusterState
from rap_projections.store import NodeStore
from rap_projections.testing.fabric import Fabric

_MINUTE_S = 60
NODE_ID = "node-1"
"""Whom the certificate of a furnished cluster names."""


def furnish(store: NodeStore, fabric: Fabric) -> ClusterState:
    """Join the cluster that `fabric` issues for, and give it something of everything.

    It has an identity with its certificate, an active document in every scope, peers "node-1" and "node-2" with observations, a route to
    each, the services "svc-a" (which reported) and "svc-b", a hint, telemetry, a checkpoint set, and records of most classes behind it.
    High-risk work that the policy permits, "resolve_secret" and "start_service", is allowed.
    """
    cluster = store.join(fabric.cluster_id, bundle=fabric.bootstrap, expect=fabric.fingerprint)
    request = cluster.identity.request(node_id=NODE_ID, membership_id="membership-1")
    cluster.identity.enroll(certificate=fabric.certificate(request))
    fabric.issued_at_s += _MINUTE_S
    policy = fabric.policy(fallback_allowed=True, high_risk_operations=("resolve_secret", "start_service"))
    for document in (policy, fabric.peers(["node-1", "node-2"]), fabric.services(["svc-a", "svc-b"]), fabric.updates(["agent"])):
        cluster.activate(document)
    cluster.activate(fabric.routes([("node-1", []), ("node-1", ["node-2"]), ("node-2", [])]))
    cluster.checkpoint()
    fabric.issued_at_s += _MINUTE_S
    cluster.activate(fabric.peers(["node-1", "node-2", "node-3"]))
    cluster.peers.observe_many([("node-1", 10.0), ("node-2", 20.0), ("node-2", None, "timeout")])
    cluster.flush()
    cluster.hints.put("last-relay", "node-2", ttl_s=600)
    cluster.telemetry.record("relay", "queue length 12")
    cluster.services.report("svc-a", state="running", version="1.0.0")
    cluster.routes.review(everything=True)
    cluster.flush()
    return cluster
