"""The key file: it opens with the key it was made for, and tells a wrong key from a tampered file."""

import hashlib
from collections.abc import Iterator

import pytest

from rap_journal.errors import DamageError, FormatTooNew, KeyLost, KeyTampered, KeyUnavailable
from rap_journal.filesystem import Directory
from rap_journal.key_files import KeyFile, key_file_bytes, make_data_key, make_key_file, open_keys, read_key_file
from rap_journal.markers import ProviderKind
from rap_journal.sealing import authenticate, key_check_value, wrap_key
from rap_journal.testing import MemoryFileSystem, SeededRandomness
from tests.journal.workbench import FixedProvider

JOURNAL_ID = b"j" * 16
DATA_KEY = b"d" * 32
NAME = "keys-00000001"


@pytest.fixture
def folder() -> Iterator[Directory]:
    with MemoryFileSystem().open_root("/store", create=True) as root:
        yield root.create_directory("identity")


def make(provider: FixedProvider | None = None) -> bytes:
    return make_key_file(provider or FixedProvider(), JOURNAL_ID, 1, DATA_KEY, SeededRandomness(1))


def plant(folder: Directory, data: bytes) -> None:
    if folder.status(NAME):
        folder.unlink(NAME)
    with folder.create(NAME) as file:
        file.write_at(0, data)


def read(folder: Directory, data: bytes) -> KeyFile:
    plant(folder, data)
    return read_key_file(folder, NAME)


def resealed(data: bytes, offset: int, value: bytes) -> bytes:
    changed = data[:offset] + value + data[offset + len(value) : -32]
    return changed + hashlib.sha256(changed).digest()


def test_the_data_key_comes_back_with_the_providers_key(folder: Directory) -> None:
    file = read(folder, make())
    assert open_keys(file, FixedProvider()) == DATA_KEY
    assert (file.key_generation, file.journal_id, file.key_check) == (1, JOURNAL_ID, key_check_value(DATA_KEY, JOURNAL_ID))
    assert [slot.provider for slot in file.slots] == [ProviderKind.MEMORY]


def test_the_bytes_of_a_key_file_can_be_written_again_from_what_was_read(folder: Directory) -> None:
    data = make()
    assert len(data) == 256
    assert key_file_bytes(read(folder, data)) == data


def test_neither_the_data_key_nor_the_providers_key_stands_in_the_file() -> None:
    assert DATA_KEY not in make() and b"k" * 32 not in make()


def test_every_flipped_bit_is_found_without_a_key(folder: Directory) -> None:
    """Mutation: without the digest rot is told as tampering."""
    data = make()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        with pytest.raises(DamageError) as caught:
            read(folder, bytes(changed))
        assert (caught.value.reason, caught.value.file) == ("bad_digest", f"identity/{NAME}")


@pytest.mark.parametrize(
    "data",
    [b"", hashlib.sha256(b"").digest(), b"short" + hashlib.sha256(b"short").digest(), make()[:-1], bytes(4096)],
    ids=["empty", "a digest of nothing", "a digest of little", "cut off", "too long"],
)
def test_a_file_of_another_length_is_damage_even_with_a_right_digest(folder: Directory, data: bytes) -> None:
    with pytest.raises(DamageError):
        read(folder, data)


@pytest.mark.parametrize(
    ("offset", "value", "error"),
    [
        (0, b"X", DamageError),
        (8, b"\x02", FormatTooNew),
        (10, b"\x02", DamageError),
        (48, b"\x01", FormatTooNew),
        (63, b"\x01", FormatTooNew),
        (64, b"\x63", FormatTooNew),
        (66, b"\x01", FormatTooNew),
        (64 + 127, b"\x01", FormatTooNew),
    ],
)
def test_a_file_with_a_right_digest_is_judged_by_its_values(
    folder: Directory, offset: int, value: bytes, error: type[Exception]
) -> None:
    """Mutation: whatever has a right digest is read as a key file of this format."""
    with pytest.raises(error):
        read(folder, resealed(make(), offset, value))


def test_a_wrong_key_is_unavailable_and_says_so(folder: Directory) -> None:
    """Mutation: with no slot open, go on with no key."""
    with pytest.raises(KeyUnavailable) as caught:
        open_keys(read(folder, make()), FixedProvider(b"x" * 32))
    assert caught.value.reason == "wrong_key"


def test_a_provider_of_another_kind_has_no_slot_and_the_kinds_there_are_named(folder: Directory) -> None:
    """Mutation: a kind without a slot is told like a wrong key."""
    other = FixedProvider()
    other.kind = ProviderKind.TPM2
    with pytest.raises(KeyUnavailable, match="slots exist for: memory") as caught:
        open_keys(read(folder, make()), other)
    assert caught.value.reason == "no_slot"


@pytest.mark.parametrize("failure", [KeyUnavailable("later", reason="x"), KeyLost("gone", reason="x")], ids=["later", "lost"])
def test_what_the_provider_raises_is_passed_on(folder: Directory, failure: KeyUnavailable | KeyLost) -> None:
    with pytest.raises(type(failure)) as caught:
        open_keys(read(folder, make()), FixedProvider(failure=failure))
    assert caught.value is failure


@pytest.mark.parametrize("offset", [12, 32, 192])
def test_a_list_of_slots_that_the_data_key_does_not_vouch_for_is_tampered_or_opens_nothing(
    folder: Directory, offset: int
) -> None:
    """Mutation: without the check value and the authenticator, slots can be added and taken away by whoever writes to the disk."""
    data = make()
    file = read(folder, resealed(data, offset, bytes([data[offset] ^ 1])))
    with pytest.raises((KeyTampered, KeyUnavailable)) as caught:
        open_keys(file, FixedProvider())
    # With another generation in its header the slot does not open; a changed check value or authenticator is seen after it did.
    assert type(caught.value) is (KeyUnavailable if offset == 12 else KeyTampered)


def test_a_slot_that_was_added_without_the_data_key_is_tampering(folder: Directory) -> None:
    # Somebody who holds a provider's key of another kind adds a slot of it, with a data key of his own.
    data = make()
    place = b"rap/v1 key slot" + JOURNAL_ID + (1).to_bytes(4, "little") + int(ProviderKind.FILE).to_bytes(2, "little")
    wrapped = wrap_key(b"m" * 32, b"t" * 32, place, b"e" * 32)
    slot = int(ProviderKind.FILE).to_bytes(2, "little") + bytes(14) + b"t" * 32 + wrapped + bytes(32)
    content = data[:10] + b"\x02\x00" + data[12:192] + slot + data[192:224]
    file = read(folder, content + hashlib.sha256(content).digest())
    mallory = FixedProvider(b"m" * 32)
    mallory.kind = ProviderKind.FILE
    with pytest.raises(KeyTampered) as caught:
        open_keys(file, mallory)
    assert caught.value.reason == "slots_tampered"
    with pytest.raises(KeyTampered):
        open_keys(file, FixedProvider())


def test_two_slots_that_the_data_key_vouches_for_both_open(folder: Directory) -> None:
    data = make()
    place = b"rap/v1 key slot" + JOURNAL_ID + (1).to_bytes(4, "little") + int(ProviderKind.FILE).to_bytes(2, "little")
    wrapped = wrap_key(b"m" * 32, b"t" * 32, place, DATA_KEY)
    slot = int(ProviderKind.FILE).to_bytes(2, "little") + bytes(14) + b"t" * 32 + wrapped + bytes(32)
    content = data[:10] + b"\x02\x00" + data[12:192] + slot
    content += authenticate(DATA_KEY, JOURNAL_ID, content)
    file = read(folder, content + hashlib.sha256(content).digest())
    other = FixedProvider(b"m" * 32)
    other.kind = ProviderKind.FILE
    assert open_keys(file, other) == open_keys(file, FixedProvider()) == DATA_KEY


def test_a_data_key_is_fresh_randomness() -> None:
    assert make_data_key(SeededRandomness(5)) == SeededRandomness(5)(32)
