"""The container of a backup: who can read it, who can have made it, and what is found wrong with it.

Each test names the check whose removal it would show.
"""

import hashlib
from collections.abc import Callable

import cbor2
import pytest

from rap_journal.backup_files import (
    BackupFacts,
    BackupFile,
    decode_backup,
    encode_backup,
    public_recovery_key,
    public_signing_key,
    recovery_key_of,
    unseal_backup,
    voucher_for,
)
from rap_journal.errors import DamageError, FormatTooNew, KeyUnavailable, MisuseError, StateStoreError
from rap_journal.format import BACKUP_HEADER
from rap_journal.sealing import SealBroken
from rap_journal.testing import SeededRandomness
from tests.journal.independent_backup_reader import read_backup

RECOVERY = bytes(range(32))
SEED = bytes(range(32, 64))
STORE = bytes(range(16))
KEK = bytes(range(64, 96))
CONTENT = cbor2.dumps([1, "a" * 300])
VOUCHER = voucher_for(KEK, STORE, public_signing_key(SEED))


def made(content: bytes = CONTENT, *, seed: int = 0, recipient: bytes | None = None, holds_keys: bool = False) -> bytes:
    facts = BackupFacts(STORE, 1_700_000_000_000_000, 2, holds_keys, VOUCHER)
    sealed_to = public_recovery_key(RECOVERY) if recipient is None else recipient
    return encode_backup(facts, content, recipient=sealed_to, signing_seed=SEED, randomness=SeededRandomness(seed))


def redigested(data: bytes) -> bytes:
    """`data` with the digest that it then needs."""
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def flipped(data: bytes, offset: int) -> bytes:
    changed = bytearray(data)
    changed[offset] ^= 1
    return bytes(changed)


def test_what_was_sealed_is_what_is_unsealed() -> None:
    file = decode_backup(made(), "b")
    assert unseal_backup(file, RECOVERY) == CONTENT
    assert file.facts == BackupFacts(STORE, 1_700_000_000_000_000, 2, False, VOUCHER)
    assert (file.signer, file.is_compressed) == (public_signing_key(SEED), True)
    assert file.sha256 == hashlib.sha256(made()).digest()


@pytest.mark.parametrize("content", [b"", b"\x01", SeededRandomness(3)(5000), CONTENT], ids=["none", "one", "random", "text"])
@pytest.mark.parametrize("holds_keys", [False, True])
def test_a_reader_written_from_the_page_alone_reads_it(content: bytes, holds_keys: bool) -> None:
    body = cbor2.dumps(content)
    facts, value = read_backup(made(body, holds_keys=holds_keys), RECOVERY, KEK)
    assert value == content
    assert facts == {
        "store_id": STORE, "made_us": 1_700_000_000_000_000, "clusters": 2, "holds_keys": holds_keys, "signer": public_signing_key(SEED),
    }  # fmt: skip


def test_the_store_itself_is_the_recipient_where_nobody_is_named() -> None:
    own = recovery_key_of(KEK, STORE)
    data = made(recipient=public_recovery_key(own))
    assert unseal_backup(decode_backup(data, "b"), own) == CONTENT
    assert read_backup(data, None, KEK)[1] == cbor2.loads(CONTENT)
    assert recovery_key_of(KEK, bytes(16)) != own != recovery_key_of(bytes(32), STORE)


def test_every_changed_bit_is_rot() -> None:
    """Mutation: without the digest's comparison, rot is called tampering, or passes in `made_us`."""
    data = made()
    for offset in range(0, len(data), 7):
        with pytest.raises(DamageError) as caught:
            decode_backup(flipped(data, offset), "b")
        assert caught.value.reason == "bad_digest"


@pytest.mark.parametrize("offset", [12, 16, 32, 64, 100, 130, 165, 200, 256, 300], ids=str)
def test_a_change_under_a_right_digest_is_tampering(offset: int) -> None:
    """Mutation: without the signature's check a change of header or sealed content gets further than here."""
    with pytest.raises(SealBroken) as caught:
        decode_backup(redigested(flipped(made(), offset)), "b")
    assert caught.value.reason == "bad_signature"


def test_a_signature_by_another_key_is_seen_by_who_signed() -> None:
    """A file that somebody else signed is whole in itself: the caller compares the signer."""
    facts = BackupFacts(STORE, 0, 0, False, VOUCHER)
    forged = encode_backup(
        facts, CONTENT, recipient=public_recovery_key(RECOVERY), signing_seed=bytes(32), randomness=SeededRandomness(1)
    )
    file = decode_backup(forged, "b")
    assert file.signer == public_signing_key(bytes(32)) != public_signing_key(SEED)
    assert voucher_for(KEK, STORE, file.signer) != VOUCHER


CHANGES: dict[str, tuple[Callable[[bytes], bytes], type[StateStoreError], str]] = {
    "too short": (lambda data: data[:300], DamageError, "bad_length"),
    "cut": (lambda data: redigested(data[:-40] + data[-32:]), DamageError, "bad_length"),
    "another magic": (lambda data: redigested(b"RAPBACK9" + data[8:]), DamageError, "bad_magic"),
    "a later version": (lambda data: redigested(data[:8] + b"\x02\x00" + data[10:]), FormatTooNew, "backup_version"),
    "an unknown flag": (lambda data: redigested(data[:10] + b"\x04\x00" + data[12:]), FormatTooNew, "backup_version"),
    "reserved bytes": (lambda data: redigested(data[:230] + b"\x01" + data[231:]), FormatTooNew, "backup_version"),
    "a reserved number": (lambda data: redigested(data[:56] + b"\x01" + data[57:]), FormatTooNew, "backup_version"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_rot_and_a_later_format_are_told_apart(change: tuple[Callable[[bytes], bytes], type[StateStoreError], str]) -> None:
    """Mutation: without the lengths, the magic or the reserved fields another file is read as a backup."""
    make, error, reason = change
    with pytest.raises(error) as caught:
        decode_backup(make(made()), "b")
    assert caught.value.reason == reason


def test_another_recovery_key_is_told_which_one_is_needed() -> None:
    """Mutation: without the comparison of the recipient a wrong key looks like tampering."""
    with pytest.raises(KeyUnavailable) as caught:
        unseal_backup(decode_backup(made(), "b"), bytes(32))
    assert caught.value.reason == "wrong_key"
    assert public_recovery_key(RECOVERY).hex() in str(caught.value)


def resealed(**changes: bytes | int) -> BackupFile:
    """A backup whose owner signed a header with these fields changed around the same sealed bytes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    data = made()
    names = (
        "magic",
        "version",
        "flags",
        "count",
        "store",
        "made",
        "stored",
        "content",
        "zero",
        "salt",
        "to",
        "eph",
        "signer",
        "vouch",
        "z",
    )
    fields = dict(zip(names, BACKUP_HEADER.unpack_from(data), strict=True)) | changes
    whole = BACKUP_HEADER.pack(*fields.values()) + data[256:-96]
    whole += Ed25519PrivateKey.from_private_bytes(SEED).sign(b"rap/v1 backup" + whole)
    return decode_backup(whole + hashlib.sha256(whole).digest(), "b")


HEADERS: dict[str, dict[str, bytes | int]] = {
    "salt": {"salt": bytes(32)},
    "store": {"store": bytes(16)},
    "made": {"made": 1},
    "ephemeral": {"eph": public_recovery_key(SEED)},
    "no key at all": {"eph": bytes(32)},
}


@pytest.mark.parametrize("changes", HEADERS.values(), ids=HEADERS.keys())
def test_the_header_is_under_the_seal(changes: dict[str, bytes | int]) -> None:
    """Mutation: without the header as associated data its fields can be changed by whoever signs, and a null key is agreed with."""
    with pytest.raises(SealBroken):
        unseal_backup(resealed(**changes), RECOVERY)


def test_no_more_is_inflated_than_the_header_names() -> None:
    """Mutation: whatever comes out of the decompressor is taken, whole or not."""
    bomb = made(b"\0" * (1 << 20))
    file = decode_backup(bomb, "b")._replace(content_bytes=100)
    with pytest.raises(SealBroken) as caught:
        unseal_backup(file, RECOVERY)
    assert caught.value.reason == "content_length"


def test_content_that_does_not_decompress_is_not_what_was_sealed() -> None:
    """Mutation: go on with what the decompressor gave up on."""
    file = decode_backup(made(SeededRandomness(3)(5000)), "b")
    assert not file.is_compressed
    with pytest.raises(SealBroken) as caught:
        unseal_backup(file._replace(is_compressed=True), RECOVERY)
    assert caught.value.reason == "compression"


@pytest.mark.parametrize("recipient", [bytes(32), (1).to_bytes(32, "little"), bytes(31)], ids=["zero", "one", "short"])
def test_a_recipient_with_whom_anybody_could_agree_is_refused(recipient: bytes) -> None:
    """Without the refusal of weak keys a typing error would seal for everybody."""
    with pytest.raises(MisuseError) as caught:
        made(recipient=recipient)
    assert caught.value.reason == "recipient"


def test_each_file_has_a_key_of_its_own() -> None:
    one, two = made(seed=1), made(seed=2)
    assert one[64:160] != two[64:160] and one[256:-96] != two[256:-96]
    with pytest.raises(MisuseError):
        public_recovery_key(bytes(31))
