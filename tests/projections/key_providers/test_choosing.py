"""Which provider a program uses: the kind from the marker, and where the key is from the operator alone."""

from pathlib import Path
from traceback import format_exception

import pytest

from rap_journal.errors import KeyUnavailable, MisuseError
from rap_journal.markers import ProviderKind
from rap_journal.passphrase_kdf import Kdf, derive_key
from rap_projections.key_providers.choosing import provider_for
from rap_projections.keys import ProvisioningKeyProvider, RecoveryPassphraseProvider

SALT = bytes(32)

SETTINGS = {
    "RAP_STATE_CREDENTIAL": "rap.key",
    "RAP_STATE_KEYRING_KEY": "rap:node",
    "RAP_STATE_TPM2_BLOB": "/etc/rap/node.tpm",
    "RAP_STATE_KEY_STORE_SERVICE": "rap-node",
    "RAP_STATE_KEY_STORE_USER": "node-17",
    "RAP_STATE_PASSPHRASE_FILE": "/etc/rap/passphrase",
}
FILE = {"RAP_STATE_KEY_FILE": "/etc/rap/node.key"}

BUILT = {
    ProviderKind.FILE: "FileKeyProvider('/etc/rap/node.key')",
    ProviderKind.SYSTEMD_CREDENTIAL: "SystemdCredentialProvider('rap.key')",
    ProviderKind.KERNEL_KEYRING: "KernelKeyringProvider('rap:node', 'user')",
    ProviderKind.TPM2: "Tpm2Provider('/etc/rap/node.tpm', tcti='device:/dev/tpmrm0')",
    ProviderKind.OS_KEY_STORE: "OsKeyStoreProvider('rap-node', 'node-17')",
    ProviderKind.RECOVERY_PASSPHRASE: "RecoveryPassphraseProvider()",
}


@pytest.mark.parametrize("kind", BUILT)
def test_each_kind_that_a_marker_names_is_built_from_its_settings(kind: ProviderKind) -> None:
    settings = SETTINGS | (FILE if kind is ProviderKind.FILE else {})
    assert repr(provider_for(kind, settings)) == BUILT[kind]


def test_every_kind_that_a_marker_can_name_is_built_or_refused() -> None:
    """Mutation: a kind that nobody can make is no case."""
    assert set(ProviderKind) - BUILT.keys() == {ProviderKind.MEMORY}
    with pytest.raises(KeyUnavailable) as caught:
        provider_for(ProviderKind.MEMORY, SETTINGS)
    assert caught.value.reason == "no_provider"


@pytest.mark.parametrize("kind", BUILT)
def test_a_missing_setting_is_named(kind: ProviderKind) -> None:
    """Mutation: a provider is made with an empty name."""
    with pytest.raises(
        KeyUnavailable, match=f"provider {kind.name.lower()}, and RAP_STATE_[A-Z0-9_]+ does not say where"
    ) as caught:
        provider_for(kind, {"RAP_STATE_KEYRING": "session", "RAP_STATE_TPM2_TCTI": "x"})
    assert (caught.value.reason, caught.value.exit_code) == ("no_key", 11)


def test_the_details_can_be_set() -> None:
    settings = SETTINGS | {"RAP_STATE_KEYRING": "session", "RAP_STATE_TPM2_TCTI": "swtpm:port=1"}
    assert repr(provider_for(ProviderKind.KERNEL_KEYRING, settings)) == "KernelKeyringProvider('rap:node', 'session')"
    assert repr(provider_for(ProviderKind.TPM2, settings)) == "Tpm2Provider('/etc/rap/node.tpm', tcti='swtpm:port=1')"


@pytest.mark.parametrize("marked", list(ProviderKind))
def test_a_key_file_that_is_named_goes_before_the_marker(marked: ProviderKind) -> None:
    assert repr(provider_for(marked, SETTINGS | FILE)) == BUILT[ProviderKind.FILE]


@pytest.mark.parametrize("kind", BUILT)
def test_a_kind_that_is_named_goes_before_both(kind: ProviderKind) -> None:
    settings = SETTINGS | FILE | {"RAP_STATE_KEY_PROVIDER": kind.name.lower()}
    assert repr(provider_for(ProviderKind.MEMORY, settings)) == BUILT[kind]


@pytest.mark.parametrize("word", ["memory", "os", "rap_projections.keys", "keyring.backends.null"])
def test_a_kind_outside_the_closed_set_is_refused(word: str) -> None:
    with pytest.raises(MisuseError, match="none of file, systemd_credential") as caught:
        provider_for(ProviderKind.FILE, {"RAP_STATE_KEY_PROVIDER": word})
    assert caught.value.reason == "key_provider"


def use(keys: ProvisioningKeyProvider) -> None:
    """Ask for a passphrase's key."""
    assert isinstance(keys, RecoveryPassphraseProvider)
    keys.slot_key(SALT, Kdf())


@pytest.mark.parametrize(
    ("kind", "name", "secret"),
    [
        (ProviderKind.FILE, "RAP_STATE_KEY_PROVIDER", "correct horse battery staple"),
        (ProviderKind.SYSTEMD_CREDENTIAL, "RAP_STATE_CREDENTIAL", "correct horse battery staple"),
        (ProviderKind.KERNEL_KEYRING, "RAP_STATE_KEYRING", "correct horse battery staple"),
        (ProviderKind.KERNEL_KEYRING, "RAP_STATE_KEYRING_KEY", "correct horse\tbattery staple"),
        (ProviderKind.RECOVERY_PASSPHRASE, "RAP_STATE_PASSPHRASE_FILE", "correct horse battery staple"),
    ],
)
def test_a_passphrase_in_the_wrong_setting_is_not_shown(kind: ProviderKind, name: str, secret: str) -> None:
    """The error quoted it, and so did the command on standard error."""
    settings = SETTINGS | FILE | {name: secret}
    if name != "RAP_STATE_KEY_PROVIDER":
        del settings["RAP_STATE_KEY_FILE"]
    with pytest.raises((MisuseError, KeyUnavailable)) as caught:
        use(provider_for(kind, settings))
    shown = "".join(format_exception(caught.value))
    assert [word for word in secret.split() if word in shown] == []


def test_the_passphrase_is_read_from_its_file_without_the_end_of_the_line(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.touch(0o600)
    path.write_bytes(b"correct horse battery staple\r\n")
    keys = provider_for(ProviderKind.RECOVERY_PASSPHRASE, {"RAP_STATE_PASSPHRASE_FILE": str(path)})
    assert isinstance(keys, RecoveryPassphraseProvider)
    assert keys.slot_key(SALT, Kdf()) == derive_key(b"correct horse battery staple", SALT, Kdf())


def test_a_passphrase_file_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    """Mutation: let through what the system raises."""
    keys = provider_for(ProviderKind.RECOVERY_PASSPHRASE, {"RAP_STATE_PASSPHRASE_FILE": str(tmp_path / "none")})
    assert isinstance(keys, RecoveryPassphraseProvider)
    with pytest.raises(KeyUnavailable, match="the file that RAP_STATE_PASSPHRASE_FILE names cannot be read"):
        keys.slot_key(SALT, Kdf())
