"""Every bullet of sections 4 to 12 of the specification, and the call that answers it.

A call is written as a caller would, and goes down to the field that answers: `store.` is a `NodeStore`, `cluster.` a `ClusterState`,
`workload.` what `cluster.workload` returns; a name stands for what it returns, and `[]` for what a collection holds.
`module:Name.attribute` is a place in a package, `rap-state status` a command. Four sentences say what no name can:

- `cluster.status shows a.*.b`: the value is there in the status of a cluster that has something in every scope; `*` is any key.
- `workload offers only a, b`: there is no other way for a workload, which is how a "must not" of section 10 is answered.
- `module:Name leaves out a, b`: it has no field of these names.
- `module:NAME holds a`: a closed list names `a`.

Bullets stand in the order of the specification, with its words. What is due later says why.
"""

from tests.project.spec_answers import Answer, later, now
from tests.project.spec_section_4 import SECTION_4

WORKLOAD_ONLY = "workload offers only config, wait_config, report, secret, commands"
NO_SOURCES = "documents are handed in by the agent; sources to fetch them from are a part of their own"

SPEC_MAP: tuple[Answer, ...] = (
    *SECTION_4,
    # Encryption and secrets
    now(
        5,
        "private keys use OS key store where possible",
        "rap_projections.keys:OsKeyStoreProvider",
        "rap_projections.keys:Tpm2Provider",
        "rap_projections.keys:SystemdCredentialProvider",
        "rap_projections.key_providers.door:ProvisioningKeyProvider.holds_private_keys",
    ),
    now(
        5,
        "file-backed sensitive material is encrypted at rest",
        "rap_journal.sealing:KeyRing",
        "rap_journal.sealed_store:store_document",
        "store.keys.protection",
    ),
    now(
        5,
        "raw RDP/VNC/SSH/VPN credentials must not be stored in broad local snapshots",
        "cluster.snapshots.check.rules",
        "rap_projections.document_schema:read_snapshot",
        "rap_projections.refusals:BadSchema",
    ),
    now(
        5,
        "runtime secrets are resolved only when assigned service policy permits it",
        "workload.secret",
        "rap_projections.operations:Operation.RESOLVE_SECRET",
        "cluster.allows.ok",
    ),
    now(
        5,
        "secret material must be wiped from temporary files and memory where practical",
        "rap_journal.folders:JournalFolders.wipe_temporary",
        "rap_journal.sealed_store:wipe_document",
        "rap_journal.os_memory_file:memory_file",
    ),
    now(
        5,
        "logs must not contain secret values",
        "rap_journal.errors:StateStoreError.facts",
        "rap_projections.refusals:RefusedError.facts",
        "cluster.status shows identity.protection",
    ),
    now(
        5,
        "Windows: DPAPI or service-account protected certificate store",
        "rap_projections.keys:OsKeyStoreProvider",
        "rap_projections.key_providers.os_key_store:TRUSTED_BACKENDS holds keyring.backends.Windows.WinVaultKeyring",
    ),
    now(
        5,
        "Linux: kernel keyring, TPM-backed store, or file encryption with protected service-account permissions",
        "rap_projections.keys:KernelKeyringProvider",
        "rap_projections.keys:Tpm2Provider",
        "rap_projections.keys:FileKeyProvider",
    ),
    now(
        5,
        "macOS future client/agent: Keychain",
        "rap_projections.keys:OsKeyStoreProvider",
        "rap_projections.key_providers.os_key_store:TRUSTED_BACKENDS holds keyring.backends.macOS.Keyring",
    ),
    # Atomicity and durability
    now(
        6,
        "write new content to temporary path",
        "rap_journal.sealed_files:install_file",
        "rap_journal.filesystem:Directory.create",
        "cluster.activation.stage",
    ),
    now(
        6,
        "fsync or platform equivalent where needed",
        "rap_journal.filesystem:File.sync",
        "rap_journal.filesystem:Directory.sync",
    ),
    now(6, "verify content before activation", "cluster.activation.verify", "cluster.snapshots.check.ok"),
    now(6, "atomically rename/swap active pointer", "rap_journal.filesystem:Directory.rename", "cluster.activation.commit"),
    now(
        6,
        "keep previous verified content for recovery",
        "cluster.view.snapshots.scopes[].previous[].stored.file_id",
        "rap_projections:Policy.previous_snapshots_max",
    ),
    now(
        6,
        "never partially overwrite active snapshots or identity data",
        "cluster.activation.commit",
        "rap_projections.snapshot_events:SnapshotActivated",
        "rap_projections.identity_events:CertificateInstalled",
    ),
    now(
        6,
        "use a store lock to prevent concurrent writers",
        "rap_journal.filesystem:Directory.lock",
        "rap_journal.errors:StoreBusy",
    ),
    now(6, "interrupted writes", "cluster.recovery.verdict", "rap_journal.recovery_plan:Verdict.TORN_TAIL"),
    now(
        6,
        "corrupted pending updates",
        "rap_projections.update_events:UpdateDropped",
        "rap_projections.snapshot_events:SnapshotPendingDropped",
    ),
    now(6, "missing optional cache files", "cluster.recovery.losses[].state_class", "rap_projections.lifecycle:ClassReset"),
    now(
        6,
        "stale runtime observations",
        "cluster.expire",
        "rap_projections.peers:PeersExpired",
        "rap_projections:Policy.observation_age_s_max",
    ),
    # Cache expiry and cleanup
    now(
        7,
        "remove expired peer observations",
        "cluster.expire",
        "rap_projections.peers:PeersExpired",
        "rap_projections:Policy.observation_age_s_max",
    ),
    now(
        7,
        "remove expired route cache entries",
        "cluster.expire",
        "rap_projections.routes:RoutesExpired",
        "rap_projections:Policy.route_age_s_max",
    ),
    now(
        7,
        "compact telemetry buffers",
        "cluster.telemetry.drain",
        "cluster.telemetry.ack",
        "rap_projections.telemetry:TelemetryDropped",
        "rap_projections:Policy.telemetry_bytes_max",
    ),
    now(
        7,
        "retain only policy-defined number of previous snapshots",
        "rap_projections:Policy.previous_snapshots_max",
        "rap_projections.snapshot_events:PreviousDropped",
    ),
    now(
        7,
        "remove stale pending updates after safe timeout",
        "cluster.expire",
        "rap_projections:Policy.pending_age_s_max",
        "rap_projections.update_events:UpdateDropped",
    ),
    now(
        7,
        "delete service assignment cache for removed roles after revocation is applied",
        "cluster.trust.update",
        "rap_projections.service_events:AssignmentsApplied",
        "rap_projections.service_events:ServiceRemoved",
    ),
    now(7, "wipe temporary files on startup", "store.open", "rap_journal.folders:JournalFolders.wipe_temporary"),
    # Corruption recovery
    now(8, "load active verified state", "store.open", "cluster.recovery.verdict", "cluster.recovery.last_lsn"),
    now(
        8,
        "reject corrupted pending state",
        "rap_projections.snapshot_events:SnapshotPendingDropped",
        "cluster.recovery.findings[].done",
    ),
    now(
        8,
        "fallback to previous verified snapshot if active snapshot is corrupt and policy allows it",
        "rap_projections.snapshot_events:SnapshotFellBack",
        "rap_projections:Policy.fallback_allowed",
        "cluster.status shows snapshots.*.is_fallen_back",
    ),
    later(8, "request full snapshot from config/storage service", "cluster.refresh", reason=NO_SOURCES),
    later(8, "use bootstrap peers or control plane if storage/config is unavailable", "cluster.refresh", reason=NO_SOURCES),
    now(
        8,
        "enter degraded mode only if a valid snapshot and policy allow it",
        "cluster.health.enter_degraded",
        "rap_projections:Policy.degraded_s_max",
    ),
    now(
        8,
        "fail closed for trust/identity corruption",
        "rap_journal.errors:FailClosed",
        "cluster.status shows fail_closed",
        "cluster.reset",
    ),
    # Multi-cluster isolation
    now(9, "identity", "store.join", "cluster.identity.request", "cluster.view.identity.key.reference"),
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
    now(9, "trust bundle", "store.join", "cluster.view.trust.bundle.version"),
    now(9, "signed snapshots", "cluster.snapshots.activate", "cluster.view.snapshots.scopes"),
    now(9, "peer cache", "cluster.peers.observe", "cluster.view.peers.peers"),
    now(9, "route cache", "cluster.routes.best", "cluster.view.routes.routes"),
    now(9, "service assignment cache", "cluster.services.assigned", "cluster.view.services.services"),
    now(9, "update/workload namespace where needed", "cluster.workload", "cluster.view.updates.subjects"),
    now(9, "telemetry namespace", "cluster.telemetry.record", "cluster.view.telemetry.records"),
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
    now(
        11,
        "snapshots and caches can usually be reconstructed",
        "rap_projections.backup_content:SavedCluster.snapshots",
        "cluster.snapshots.activate_all",
        "cluster.routes.review",
    ),
    now(
        11,
        "local route/peer caches should not be treated as backup-critical",
        "store.backup",
        "rap_projections.backup_content:SavedCluster leaves out peers, routes, telemetry, hints",
    ),
    now(
        11,
        "trust state backup must preserve anti-rollback properties",
        "store.backup",
        "store.restore",
        "rap_projections.backup_content:SavedCluster.floors",
        "cluster.restore_request.floors",
    ),
    now(
        11,
        "restore must not allow replay of revoked identity or old trust roots",
        "store.restore",
        "cluster.restore_request.minimum_bundle_version",
        "cluster.validate_restore",
        "rap_projections.refusals:NotValidated",
    ),
    # Observability
    now(12, "last applied config version", "cluster.status shows snapshots.*.applied_version", "rap-state status"),
    now(
        12,
        "snapshot expiry/refresh status",
        "cluster.status shows snapshots.*.expires_at_s",
        "cluster.status shows snapshots.*.is_refresh_due",
        "rap-state status",
    ),
    now(12, "trust bundle version", "cluster.status shows trust.bundle_version", "rap-state status"),
    now(12, "peer cache size", "cluster.status shows peer_count", "rap-state status"),
    now(12, "route cache size", "cluster.status shows route_count", "rap-state status"),
    now(
        12,
        "degraded-mode state",
        "cluster.status shows degraded.is_degraded",
        "cluster.status shows degraded.reasons",
        "rap-state status",
    ),
    now(
        12,
        "local store health",
        "cluster.status shows writer.is_poisoned",
        "cluster.status shows store.damage",
        "store.report shows unopened",
        "rap-state verify",
    ),
    now(
        12,
        "last corruption/recovery event",
        "cluster.status shows store.last_recovery",
        "cluster.status shows recovery.findings",
        "cluster.recovery.findings[].reason",
    ),
    now(12, "pending update state", "cluster.status shows updates.*.has_pending", "rap-state status"),
)
