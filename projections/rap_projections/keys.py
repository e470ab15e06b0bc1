"""Providers of the key-encryption key: who may open a store (trust, 18).

Rules this file keeps:

- The set of providers is closed, and markers name them by number. What a provider must promise stands in `key_providers.door`.
- The key lives outside the store's root, so that a copy of the root alone opens nothing.

Example::

    store = NodeStore.open(root, keys=FileKeyProvider("/etc/rap/node.key"), create=True)
    store.keys.add_slot(RecoveryPassphraseProvider(ask))
"""

from pathlib import PurePath

from rap_journal.errors import MisuseError
from rap_journal.key_files import KeyProvider
from rap_journal.markers import ProviderKind
from rap_journal.os_surroundings import real_path
from rap_journal.passphrase_kdf import Kdf
from rap_projections.key_providers.anchors import Anchor
from rap_projections.key_providers.choosing import provider_for
from rap_projections.key_providers.door import KEY_BYTES, ProvisioningKeyProvider
from rap_projections.key_providers.kernel_keyring import KernelKeyringProvider
from rap_projections.key_providers.key_file import FileKeyProvider
from rap_projections.key_providers.os_key_store import OsKeyStoreProvider
from rap_projections.key_providers.recovery_passphrase import RecoveryPassphraseProvider
from rap_projections.key_providers.systemd_credential import SystemdCredentialProvider
from rap_projections.key_providers.tpm2 import Tpm2Anchor, Tpm2Provider

__all__ = [
    "KEY_BYTES", "KeyProvider", "ProvisioningKeyProvider", "ProviderKind", "Kdf", "FileKeyProvider", "SystemdCredentialProvider",
    "KernelKeyringProvider", "Tpm2Provider", "OsKeyStoreProvider", "RecoveryPassphraseProvider", "Anchor", "Tpm2Anchor",
    "provider_for", "require_outside", "is_bound_to_machine",
]  # fmt: skip


def require_outside(root: str, provider: KeyProvider) -> None:
    """Raise `MisuseError` when a provider's file lies within the store's root: a copy of the root would hold its own key."""
    if isinstance(provider, FileKeyProvider | Tpm2Provider) and PurePath(real_path(provider.path)).is_relative_to(
        real_path(root)
    ):
        raise MisuseError(
            f"the key file lies inside the store's root {root}; nothing was done. Keep it elsewhere.", reason="key_inside_root"
        )


def is_bound_to_machine(provider: KeyProvider) -> bool:
    """Whether the key is nowhere but in this machine, so that whatever was sealed to it is lost with the machine."""
    return isinstance(provider, Tpm2Provider) or (isinstance(provider, KernelKeyringProvider) and provider.is_ephemeral)
