"""Marker, folders and keys of a journal: with which key it opens, and that either copy will do."""

import pytest

from rap_journal.errors import (
    KeyLost,
    KeyTampered,
    KeyUnavailable,
)
from rap_journal.layout import MARKER
from rap_journal.testing import MemoryFileSystem
from tests.journal.segment_kit import flip
from tests.journal.test_recovery import content, journal_of, opened_from
from tests.journal.workbench import (
    IDENTITY,
    FixedProvider,
    create_journal,
    open_journal,
    plant,
    setup_of,
    tree,
)


def test_a_marker_of_another_journal_does_not_open_this_one() -> None:
    other = MemoryFileSystem()
    create_journal(other, journal_id=b"another-journal.")
    files = journal_of([(IDENTITY, "i1")]) | {MARKER: tree(other)[MARKER]}
    with pytest.raises(KeyTampered) as caught:
        open_journal(plant(files))
    assert caught.value.reason == "foreign_key"


@pytest.mark.parametrize(
    ("provider", "error", "reason"),
    [
        (FixedProvider(b"x" * 32), KeyUnavailable, "wrong_key"),
        (FixedProvider(failure=KeyUnavailable("the token is not plugged in", reason="later")), KeyUnavailable, "later"),
        (FixedProvider(failure=KeyLost("the token is gone", reason="lost")), KeyLost, "lost"),
    ],
    ids=["wrong", "later", "lost"],
)
def test_without_the_key_nothing_opens(provider: FixedProvider, error: type[Exception], reason: str) -> None:
    filesystem = plant(journal_of([(IDENTITY, "i1")]))
    with pytest.raises(error) as caught:
        open_journal(filesystem, setup=setup_of(provider=provider))
    assert getattr(caught.value, "reason", None) == reason


@pytest.mark.parametrize("folder", ["identity", "trust"])
def test_either_copy_of_the_key_file_opens_the_journal(folder: str) -> None:
    files = journal_of([(IDENTITY, "i1")])
    name = f"{folder}/keys-00000001"
    _filesystem, opened = opened_from(files | {name: flip(content(files, name), 70)})
    assert opened.ledger.bodies() == [["i1"]]
