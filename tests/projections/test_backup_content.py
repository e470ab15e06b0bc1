"""What a backup says: written and read back, and refused where it is anything else."""

import pytest

from rap_journal.deterministic_cbor import encode
from rap_journal.errors import DamageError, FormatTooNew
from rap_projections.backup_content import (
    BackupContent,
    LeftCluster,
    SavedCluster,
    SavedIdentity,
    SavedInstant,
    SavedKey,
    SavedScope,
    read_content,
    write_content,
)
from rap_projections.known_floors import NOTHING_KNOWN

IDENTITY = SavedIdentity("node-1", "m-1", "enrolled", SavedKey("ecdsa-p256", b"k" * 32, b"r" * 32), b"certificate", b"PRIVATE")
CLUSTER = SavedCluster(
    "lab", b"j" * 16, b"i" * 16, 7, b"f" * 32, "sha256", (b"bundle",), (SavedInstant(b"kid", 1, 2),), NOTHING_KNOWN,
    (SavedScope("routes", (b"full", b"increment")),), b"", IDENTITY,
)  # fmt: skip
CONTENT = BackupContent(1, b"s" * 16, (CLUSTER, CLUSTER._replace(identity=None)), (LeftCluster("gone", NOTHING_KNOWN),))


def test_what_is_read_is_what_was_written() -> None:
    assert read_content(write_content(CONTENT)) == CONTENT


def test_no_content_stands_in_a_representation() -> None:
    shown = repr(CONTENT) + repr(IDENTITY)
    assert "PRIVATE" not in shown and "b'certificate'" not in shown and "b'bundle'" not in shown


@pytest.mark.parametrize(
    "data", [b"", b"\xff", encode([]), encode([1, b"s"]), encode({0: 1}), write_content(CONTENT)[:-1], encode([(1.0).hex()])]
)
def test_anything_else_is_damage(data: bytes) -> None:
    """Mutation: where the content is no such thing, give none."""
    with pytest.raises(DamageError):
        read_content(data)


def test_a_later_version_is_told_as_such() -> None:
    """Mutation: a later version is told as damage."""
    with pytest.raises(FormatTooNew):
        read_content(encode([2, b"whatever"]))
