"""The modules whose checks are removed in turn, and the files of tests that stand for each.

They are those that judge what was handed in or what was read back: documents, certificates, keys, backups. Checks of what a caller gives
are tried by the tests of the calls.

Example::

    MODULES["rap_projections.certificates"]     # ("tests/projections/test_certificates.py", "tests/projections/test_identity_calls.py")
"""

from collections.abc import Mapping

_PROJECTIONS: dict[str, tuple[str, ...]] = {
    "signed_document": ("signed_document", "verification"),
    "cose": ("cose",),
    "cbor_items": ("cbor_items", "cose"),
    "ed25519_keys": ("ed25519_keys",),
    "payload_fields": ("payload_fields", "document_schema"),
    "bundle_schema": ("bundle_schema",),
    "document_schema": ("document_schema",),
    "document_rules": ("document_rules", "verification"),
    "document_case": ("document_case", "verification"),
    "trust_in_force": ("verification", "document_rules"),
    "verification": ("verification",),
    "bundle_verification": ("bundle_verification",),
    "increments": ("increments", "heads_and_increments"),
    "increment_check": ("increment_check",),
    "trust_decisions": ("trust_decisions", "trust"),
    "snapshot_decisions": ("snapshot_decisions", "snapshots"),
    "snapshot_calls": ("snapshot_calls", "heads_and_increments"),
    "identity_decisions": ("identity_decisions", "identity"),
    "identity_calls": ("identity_calls", "identity_renewal"),
    "identity_keys": ("identity_keys", "identity_calls"),
    "identity_use": ("identity_use", "tls_contexts"),
    "certificates": ("certificates", "identity_calls"),
    "own_certificate": ("own_certificate", "identity_calls"),
    "peer_certificates": ("peer_certificates",),
    "update_decisions": ("update_decisions", "updates", "update_calls"),
    "update_calls": ("update_calls", "references_judged_again"),
    "service_decisions": ("service_decisions", "services"),
    "workload": ("workload",),
    "memberships": ("memberships", "cluster_building"),
    "cluster_building": ("cluster_building", "memberships"),
    "resetting": ("resetting",),
    "backup_content": ("backup_content",),
    "backing_up": ("backing_up",),
    "restoring": ("restoring", "memberships"),
    "restored_state": ("restored_state",),
    "restore_decisions": ("restore_decisions", "restore_calls"),
    "restore_calls": ("restore_calls",),
}

_KEY_PROVIDERS: dict[str, tuple[str, ...]] = {
    "choosing": ("choosing",),
    "door": ("door",),
    "extras": ("extras",),
    "kernel_keyring": ("kernel_keyring",),
    "key_file": ("key_file",),
    "os_key_store": ("os_key_store",),
    "recovery_passphrase": ("recovery_passphrase",),
    "systemd_credential": ("systemd_credential",),
}

_JOURNAL: dict[str, tuple[str, ...]] = {
    "backup_files": ("backup_files",),
    "key_files": ("key_files", "key_slots"),
    "key_generations": ("key_generations",),
    "key_slots": ("key_slots",),
    "markers": ("markers", "key_generations"),
    "os_files": ("os_files", "os_surroundings", "os_filesystem"),
    "os_surroundings": ("os_surroundings",),
    "passphrase_kdf": ("passphrase_kdf",),
    "sealing": ("sealing",),
    "sealed_files": ("sealed_files",),
    "witness": ("witness",),
}


def _files(package: str, folder: str, modules: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The same with the whole names of modules and files."""
    return {f"{package}.{module}": tuple(f"{folder}/test_{test}.py" for test in tests) for module, tests in modules.items()}


MODULES = {
    **_files("rap_projections", "tests/projections", _PROJECTIONS),
    **_files("rap_projections.key_providers", "tests/projections/key_providers", _KEY_PROVIDERS),
    **_files("rap_journal", "tests/journal", _JOURNAL),
}
"""The files of tests for each module."""
