"""Stores with more ways in than one.

Example::

    it = with_two(Other())
    keys_of(it).slots()
"""

import hashlib

from rap_journal.markers import ProviderKind
from rap_journal.passphrase_kdf import Kdf
from rap_projections.store_keys import StoreKeys
from rap_projections.testing import MemoryKeyProvider
from tests.projections.store_kit import CLUSTER, Ready, ready

KEYS = "keys-00000001"
COPIES = (("agent/agent", "agent/quarantine"), (f"clusters/{CLUSTER}/identity", f"clusters/{CLUSTER}/trust"))


class Other(MemoryKeyProvider):
    """A provider of another kind, with another key."""

    kind = ProviderKind.TPM2

    def __init__(self, key: bytes = b"o" * 32) -> None:
        super().__init__(key)


class Words(MemoryKeyProvider):
    """A passphrase without scrypt's work, which has tests of its own."""

    kind = ProviderKind.RECOVERY_PASSPHRASE
    kdf = Kdf()

    def key_encryption_key(self) -> bytes:
        raise AssertionError("a passphrase has no key without a slot")

    def slot_key(self, salt: bytes, kdf: Kdf) -> bytes:
        return hashlib.sha256(b"words" + salt).digest()


def keys_of(it: Ready) -> StoreKeys:
    return it.kit.store.keys


def kinds(it: Ready) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for slot in keys_of(it).slots():
        found.setdefault(slot.journal, []).append(slot.provider.name)
    return found


def reopened_by(it: Ready, keys: MemoryKeyProvider) -> Ready:
    it.kit.store.close()
    it.kit.keys = keys
    it.kit.open()
    assert it.kit.store.unopened == {}
    return it


def with_two(provider: MemoryKeyProvider) -> Ready:
    it = ready()
    keys_of(it).add_slot(Other())
    return reopened_by(it, provider)
