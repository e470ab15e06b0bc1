"""Every bullet of sections 4 to 12 of the specification, and the call that answers it.

A call is written as a caller would: `store.` is a `NodeStore`, `cluster.` a `ClusterState`, `workload.` what `cluster.workload`
returns; `module:Name.attribute` is a place in a package. `workload offers only a, b` says that there is
no other way for a workload, which is how a "must not" of section 10 is answered.

Bullets stand in the order of the specification, with its words. What is due later says why.
"""

from typing import Literal, NamedTuple


class Answer(NamedTuple):
    """One bullet of the specification.

    Attributes:
        section: number of the section, 4 to 12.
        text: the bullet, word for word.
        calls: where a caller, or an operator, finds it.
        due: whether the calls must exist now.
        reason: why it is due later.
    """

    section: int
    text: str
    calls: tuple[str, ...]
    due: Literal["now", "later"]
    reason: str = ""


def now(section: int, text: str, *calls: str) -> Answer:
    return Answer(section, text, calls, "now")


def later(section: int, text: str, *calls: str, reason: str) -> Answer:
    return Answer(section, text, calls, "later", reason)


WORKLOAD_ONLY = "workload offers only config, wait_config, report, secret, commands"
OTHER_SYSTEM = "this release runs on Linux with a key file; key stores of operating systems come with their providers"
NO_SOURCES = "documents are handed in by the agent; sources to fetch them from are a part of their own"

SPEC_MAP: tuple[Answer, ...] = (
    # Agent state
    now(4, "agent install id", "store.agent"),
    now(4, "agent version", "store.agent"),
    now(4, "local feature flags", "store.agent"),
    now(4, "last startup/shutdown status", "store.agent", "store.report"),
    now(4, "local diagnostics", "store.agent", "store.report"),
    now(4, "update engine metadata", "store.agent"),
    # Identity state
    now(4, "`node_id`", "cluster.identity.status", "cluster.view"),
    now(4, "cluster membership id", "cluster.identity.status", "cluster.view"),
    now(4, "node certificate metadata", "cluster.identity.enroll", "cluster.identity.status"),
    now(4, "public identity metadata", "cluster.identity.request", "cluster.identity.status"),
    now(4, "private key reference", "cluster.identity.request"),
    now(4, "enrollment state", "cluster.identity.enroll", "cluster.identity.status"),
    now(4, "revocation status cache", "cluster.identity.status", "cluster.allows"),
    # Trust state
    now(4, "platform root trust refs", "cluster.view"),
    now(4, "cluster trust roots", "store.join"),
    now(4, "config signing keys", "cluster.view"),
    now(4, "node-to-node trust bundle", "store.join", "cluster.trust.verify_peer"),
    now(4, "revocation metadata", "cluster.view"),
    now(4, "trust bundle version", "cluster.status"),
    # Snapshot state
    now(4, "active signed scoped snapshot per scope", "cluster.snapshots.activate", "cluster.view"),
    now(4, "previous verified snapshot per scope", "cluster.snapshots.activate", "cluster.view"),
    now(4, "pending snapshot or incremental update", "cluster.activation", "cluster.view"),
    now(4, "snapshot verification metadata", "cluster.snapshots.check", "cluster.view"),
    now(4, "last applied config version", "cluster.status"),
    now(4, "expiry and refresh deadlines Snapshot activation must be atomic:", "cluster.next_deadline", "cluster.status"),
    now(4, "write pending snapshot", "cluster.activation"),
    now(4, "verify signature, scope, hash, expiry, and version", "cluster.activation", "cluster.snapshots.check"),
    now(4, "persist verified content", "cluster.activation"),
    now(4, "swap active pointer", "cluster.activation"),
    now(4, "notify affected runtime components", "cluster.subscribe"),
    now(4, "report applied version", "cluster.status", "cluster.health.heartbeat"),
    # Peer cache
    now(4, "scoped peer directory entries", "cluster.snapshots.activate", "cluster.view"),
    now(4, "endpoint candidates", "cluster.view"),
    now(4, "certificate fingerprints", "cluster.view"),
    now(4, "last success timestamp", "cluster.peers.observe", "cluster.view"),
    now(4, "latency", "cluster.peers.observe", "cluster.peers.observe_many"),
    now(4, "packet loss", "cluster.peers.observe", "cluster.view"),
    now(4, "reliability score", "cluster.peers.observe", "cluster.view"),
    now(4, "recent failure history", "cluster.peers.observe", "cluster.view"),
    now(4, "last seen config version", "cluster.peers.observe", "cluster.view"),
    # Route cache
    now(4, "selected routes", "cluster.routes.best", "cluster.view"),
    now(4, "route score", "cluster.routes.best"),
    now(4, "route class/channel class", "cluster.routes.best"),
    now(4, "route expiry", "cluster.routes.best", "cluster.expire"),
    now(4, "failover alternatives", "cluster.routes.best"),
    now(4, "shortcut state if future policy allows it", "cluster.routes.best", "cluster.view"),
    now(4, "last successful path", "cluster.routes.result", "cluster.view"),
    now(4, "recent failure reason", "cluster.routes.result", "cluster.view"),
    # Service assignment cache
    now(4, "assigned service workloads", "cluster.services.assigned"),
    now(4, "desired state", "cluster.services.assigned"),
    now(4, "last reported state", "cluster.services.report", "cluster.view"),
    now(4, "service version", "cluster.services.assigned"),
    now(4, "policy refs", "cluster.services.assigned"),
    now(4, "resource refs needed by assigned services", "cluster.services.assigned"),
    now(4, "connector or `vpn_connection` refs where authorized", "cluster.services.assigned"),
    # Health and degraded state
    now(4, "last heartbeat sent", "cluster.health.heartbeat", "cluster.health.heartbeat_sent"),
    now(4, "last control-plane contact", "cluster.health.contact"),
    now(4, "last config/storage contact", "cluster.health.contact"),
    now(4, "active degraded-mode reason", "cluster.health.enter_degraded", "cluster.health.leave_degraded"),
    now(4, "partition/degraded flags", "cluster.health.partition", "cluster.health.enter_degraded"),
    now(4, "local resource pressure", "cluster.health.pressure"),
    now(4, "service health summaries", "cluster.services.report", "cluster.health.heartbeat"),
    now(4, "last known safe operation deadline", "cluster.allows", "cluster.next_deadline"),
    # Update metadata
    now(4, "current agent version", "store.agent"),
    now(4, "current workload versions", "cluster.view"),
    now(4, "pending update metadata", "cluster.updates.stage", "cluster.view"),
    now(4, "signed artifact refs", "cluster.updates.stage", "cluster.updates.verify_artifact"),
    now(4, "rollout/canary assignment", "cluster.view"),
    now(4, "rollback candidate metadata", "cluster.updates.roll_back", "cluster.view"),
    now(4, "last update result", "cluster.updates.confirm", "cluster.updates.roll_back"),
    # Encryption and secrets
    later(5, "private keys use OS key store where possible", "cluster.identity.request", reason=OTHER_SYSTEM),
    now(5, "file-backed sensitive material is encrypted at rest", "rap_journal.sealing", "rap_projections.keys:FileKeyProvider"),
    now(5, "raw RDP/VNC/SSH/VPN credentials must not be stored in broad local snapshots", "cluster.snapshots.check"),
    now(5, "runtime secrets are resolved only when assigned service policy permits it", "workload.secret", "cluster.allows"),
    now(5, "secret material must be wiped from temporary files and memory where practical", "store.open", "store.close"),
    now(5, "logs must not contain secret values", "cluster.status", "store.report"),
    later(5, "Windows: DPAPI or service-account protected certificate store", "rap_projections.keys", reason=OTHER_SYSTEM),
    now(
        5,
        "Linux: kernel keyring, TPM-backed store, or file encryption with protected service-account permissions",
        "rap_projections.keys:FileKeyProvider",
    ),
    later(5, "macOS future client/agent: Keychain", "rap_projections.keys", reason=OTHER_SYSTEM),
    # Atomicity and durability
    now(6, "write new content to temporary path", "rap_journal.filesystem:Directory.create", "cluster.activation"),
    now(
        6,
        "fsync or platform equivalent where needed",
        "rap_journal.filesystem:File.sync",
        "rap_journal.filesystem:Directory.sync",
    ),
    now(6, "verify content before activation", "cluster.activation", "cluster.snapshots.check"),
    now(6, "atomically rename/swap active pointer", "rap_journal.filesystem:Directory.rename", "cluster.activation"),
    now(6, "keep previous verified content for recovery", "cluster.snapshots.activate", "cluster.view"),
    now(6, "never partially overwrite active snapshots or identity data", "cluster.activation"),
    now(
        6,
        "use a store lock to prevent concurrent writers",
        "rap_journal.filesystem:Directory.lock",
        "rap_journal.errors:StoreBusy",
    ),
    now(6, "interrupted writes", "cluster.recovery"),
    now(6, "corrupted pending updates", "cluster.recovery"),
    now(6, "missing optional cache files", "cluster.recovery"),
    now(6, "stale runtime observations", "cluster.expire"),
    # Cache expiry and cleanup
    now(7, "remove expired peer observations", "cluster.expire"),
    now(7, "remove expired route cache entries", "cluster.expire"),
    now(7, "compact telemetry buffers", "cluster.telemetry.drain", "cluster.telemetry.ack"),
    now(7, "retain only policy-defined number of previous snapshots", "rap_projections:Policy", "cluster.snapshots.activate"),
    now(7, "remove stale pending updates after safe timeout", "cluster.expire"),
    now(
        7,
        "delete service assignment cache for removed roles after revocation is applied",
        "cluster.snapshots.activate",
    ),
    now(7, "wipe temporary files on startup", "store.open"),
    # Corruption recovery
    now(8, "load active verified state", "store.open", "cluster.recovery"),
    now(8, "reject corrupted pending state", "store.open", "cluster.recovery"),
    now(8, "fallback to previous verified snapshot if active snapshot is corrupt and policy allows it", "cluster.recovery"),
    later(8, "request full snapshot from config/storage service", "cluster.refresh", reason=NO_SOURCES),
    later(8, "use bootstrap peers or control plane if storage/config is unavailable", "cluster.refresh", reason=NO_SOURCES),
    now(8, "enter degraded mode only if a valid snapshot and policy allow it", "cluster.health.enter_degraded"),
    now(8, "fail closed for trust/identity corruption", "rap_journal.errors:FailClosed", "cluster.reset"),
    # Multi-cluster isolation
    now(9, "identity", "store.join", "cluster.identity"),
    now(
        9,
        "certificates",
        "cluster.identity.enroll",
        "cluster.identity.renew",
        "cluster.identity.confirm",
        "cluster.identity.signer",
        "cluster.identity.ssl_context",
        "cluster.trust.verify_peer",
    ),
    now(9, "trust bundle", "store.join", "cluster.view"),
    now(9, "signed snapshots", "cluster.snapshots"),
    now(9, "peer cache", "cluster.peers"),
    now(9, "route cache", "cluster.routes"),
    now(9, "service assignment cache", "cluster.services"),
    now(9, "update/workload namespace where needed", "cluster.workload"),
    now(9, "telemetry namespace", "cluster.telemetry"),
    # Service workload boundary
    now(10, "read assigned service configuration through node-agent", "workload.config", "workload.wait_config"),
    now(10, "report health/status to node-agent", "workload.report"),
    now(10, "request approved secret resolution through node-agent/control boundary", "workload.secret"),
    now(10, "receive lifecycle commands from node-agent", "workload.commands", "cluster.services.command"),
    now(10, "mutate role assignments", WORKLOAD_ONLY),
    now(10, "mutate snapshots", WORKLOAD_ONLY),
    now(10, "mutate peer directory authority", WORKLOAD_ONLY),
    now(10, "write trust roots", WORKLOAD_ONLY),
    now(10, "write cross-cluster state", WORKLOAD_ONLY),
    now(10, "store unrelated organization secrets", WORKLOAD_ONLY),
    # Backup and restore
    now(
        11,
        "identity/private key backup is platform policy dependent and high-risk",
        "store.backup",
        "rap_projections.operations:Operation.BACK_UP_KEYS",
    ),
    later(11, "snapshots and caches can usually be reconstructed", "cluster.refresh", "cluster.reset", reason=NO_SOURCES),
    now(11, "local route/peer caches should not be treated as backup-critical", "store.backup"),
    now(11, "trust state backup must preserve anti-rollback properties", "store.backup", "store.restore"),
    now(
        11,
        "restore must not allow replay of revoked identity or old trust roots",
        "store.restore",
        "cluster.restore_request",
        "cluster.validate_restore",
    ),
    # Observability
    now(12, "last applied config version", "cluster.status"),
    now(12, "snapshot expiry/refresh status", "cluster.status"),
    now(12, "trust bundle version", "cluster.status"),
    now(12, "peer cache size", "cluster.status"),
    now(12, "route cache size", "cluster.status"),
    now(12, "degraded-mode state", "cluster.status"),
    now(12, "local store health", "store.report", "cluster.status"),
    now(12, "last corruption/recovery event", "cluster.recovery", "cluster.status"),
    now(12, "pending update state", "cluster.status"),
)
