"""Which provider a program that was not told uses: the kind that a marker names, and settings of the operator for the rest.

Rules this file keeps:

- A marker names one of a closed set. Where the key is (a path, a name, a device) is never taken from the store, which whoever
  changed the disk could have written, but from the operator alone.
- A setting that is missing is named, with the kind that wants it.
- No error shows the value of a setting that cannot be right: what stands in the wrong place may be a passphrase.
- ``RAP_STATE_KEY_FILE`` and ``RAP_STATE_KEY_PROVIDER`` override the marker: the way back in by another slot.

Example::

    keys = provider_for(marker.provider, environment)
"""

from collections.abc import Callable, Mapping

from rap_journal.errors import KeyUnavailable, MisuseError
from rap_journal.markers import ProviderKind
from rap_journal.os_surroundings import read_private_file
from rap_journal.passphrase_kdf import PASSPHRASE_BYTES_MAX
from rap_projections.key_providers.door import ProvisioningKeyProvider
from rap_projections.key_providers.kernel_keyring import KernelKeyringProvider
from rap_projections.key_providers.key_file import FileKeyProvider
from rap_projections.key_providers.os_key_store import OsKeyStoreProvider
from rap_projections.key_providers.recovery_passphrase import RecoveryPassphraseProvider
from rap_projections.key_providers.systemd_credential import SystemdCredentialProvider
from rap_projections.key_providers.tpm2 import DEVICE, Tpm2Provider

PROVIDER = "RAP_STATE_KEY_PROVIDER"
KEY_FILE = "RAP_STATE_KEY_FILE"
CREDENTIAL = "RAP_STATE_CREDENTIAL"
KEYRING = "RAP_STATE_KEYRING"
KEYRING_KEY = "RAP_STATE_KEYRING_KEY"
TPM2_BLOB = "RAP_STATE_TPM2_BLOB"
TPM2_TCTI = "RAP_STATE_TPM2_TCTI"
KEY_STORE_SERVICE = "RAP_STATE_KEY_STORE_SERVICE"
KEY_STORE_USER = "RAP_STATE_KEY_STORE_USER"
PASSPHRASE_FILE = "RAP_STATE_PASSPHRASE_FILE"

Settings = Mapping[str, str]


def provider_for(marked: ProviderKind, settings: Settings) -> ProvisioningKeyProvider:
    """The provider of the kind that `marked` or the settings name.

    Raises `KeyUnavailable`, naming the setting that is missing, and `MisuseError` for a setting that makes no sense.
    """
    kind = marked
    if settings.get(PROVIDER):
        kind = _kind_named(settings[PROVIDER])
    elif settings.get(KEY_FILE):
        kind = ProviderKind.FILE
    make = _MAKERS.get(kind)
    if make is None:
        raise KeyUnavailable(
            f"a key of kind {kind.name.lower()} lives in the process that made it; nothing was opened. Open by another key slot.",
            reason="no_provider",
        )
    return make(settings)


def _kind_named(word: str) -> ProviderKind:
    kind = next((kind for kind in _MAKERS if kind.name.lower() == word.lower()), None)
    if kind is None:
        names = ", ".join(kind.name.lower() for kind in _MAKERS)
        raise MisuseError(f"{PROVIDER} is none of {names}; nothing was opened. Set it to one of them.", reason="key_provider")
    return kind


def _file(settings: Settings) -> ProvisioningKeyProvider:
    return FileKeyProvider(_setting(settings, KEY_FILE, ProviderKind.FILE))


def _credential(settings: Settings) -> ProvisioningKeyProvider:
    return SystemdCredentialProvider(_setting(settings, CREDENTIAL, ProviderKind.SYSTEMD_CREDENTIAL))


def _keyring(settings: Settings) -> ProvisioningKeyProvider:
    description = _setting(settings, KEYRING_KEY, ProviderKind.KERNEL_KEYRING)
    return KernelKeyringProvider(description, settings.get(KEYRING) or "user")


def _tpm2(settings: Settings) -> ProvisioningKeyProvider:
    return Tpm2Provider(_setting(settings, TPM2_BLOB, ProviderKind.TPM2), tcti=settings.get(TPM2_TCTI) or DEVICE)


def _key_store(settings: Settings) -> ProvisioningKeyProvider:
    service, user = (_setting(settings, name, ProviderKind.OS_KEY_STORE) for name in (KEY_STORE_SERVICE, KEY_STORE_USER))
    return OsKeyStoreProvider(service, user)


def _passphrase(settings: Settings) -> ProvisioningKeyProvider:
    path = _setting(settings, PASSPHRASE_FILE, ProviderKind.RECOVERY_PASSPHRASE)

    def ask() -> bytearray:
        try:
            passphrase = bytearray(read_private_file(path, PASSPHRASE_BYTES_MAX + 2))
        except OSError as error:
            why = error.strerror
        else:
            while passphrase.endswith((b"\n", b"\r")):
                passphrase.pop()
            return passphrase
        # Neither its path nor the error that has it: where a path is expected, the passphrase itself may stand.
        raise KeyUnavailable(
            f"the file that {PASSPHRASE_FILE} names cannot be read ({why}); nothing was opened. Let it name a 0600 file that holds the "
            "passphrase.",
            reason="passphrase_file",
        )

    return RecoveryPassphraseProvider(ask)


def _setting(settings: Settings, name: str, kind: ProviderKind) -> str:
    value = settings.get(name)
    if not value:
        raise KeyUnavailable(
            f"the key is with provider {kind.name.lower()}, and {name} does not say where; nothing was opened. Set it, or "
            f"{PROVIDER} to another kind that this store has a slot for.",
            reason="no_key",
        )
    return value


_MAKERS: dict[ProviderKind, Callable[[Settings], ProvisioningKeyProvider]] = {
    ProviderKind.FILE: _file,
    ProviderKind.SYSTEMD_CREDENTIAL: _credential,
    ProviderKind.KERNEL_KEYRING: _keyring,
    ProviderKind.TPM2: _tpm2,
    ProviderKind.OS_KEY_STORE: _key_store,
    ProviderKind.RECOVERY_PASSPHRASE: _passphrase,
}
