"""Names on disk: made and parsed in one place, and nothing else is taken for one."""

import pytest

from rap_journal.layout import (
    checkpoint_name,
    document_name,
    keys_name,
    ledger_name,
    parse_checkpoint_name,
    parse_document_name,
    parse_keys_name,
    parse_ledger_name,
    parse_quarantine_name,
    parse_segment_name,
    parse_wiping_name,
    quarantine_name,
    segment_name,
    wiping_name,
)
from rap_journal.values import Epoch, SegmentNumber


@pytest.mark.parametrize(("number", "epoch"), [(1, 1), (99999999, 99999999), (10**11, 2**32 - 1)])
def test_a_segment_name_parses_to_what_it_was_made_from(number: int, epoch: int) -> None:
    name = segment_name(SegmentNumber(number), Epoch(epoch))
    assert parse_segment_name(name) == (number, epoch)


def test_segment_names_sort_like_their_numbers_up_to_a_hundred_million() -> None:
    names = [segment_name(SegmentNumber(number), Epoch(1)) for number in (1, 9, 10, 12345678, 99999999)]
    assert names == sorted(names)
    assert names[0] == "00000001-00000001"


def test_the_other_names_parse_to_what_they_were_made_from() -> None:
    file_id = bytes(range(16))
    assert parse_checkpoint_name(checkpoint_name(10**15)) == 10**15
    assert parse_document_name(document_name(file_id)) == file_id
    assert parse_wiping_name(wiping_name(file_id)) == file_id
    assert parse_wiping_name(document_name(file_id)) is None and parse_document_name(wiping_name(file_id)) is None
    assert parse_keys_name(keys_name(12345678)) == 12345678
    assert parse_quarantine_name(quarantine_name(7, 512, bytes(32))) == (7, 512)
    assert parse_ledger_name(ledger_name(7, 10**15)) == (7, 10**15)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1-1",
        "00000001-00000001 ",
        "00000001-00000001.bak",
        "-00000001",
        "0000000000001-00000001",
        "00000001-00000001\n",
        "٠٠٠٠٠٠٠١-٠٠٠٠٠٠٠١",
        "spare",
        "next",
    ],
)
def test_a_name_that_is_not_ours_is_no_segment(name: str) -> None:
    assert parse_segment_name(name) is None


@pytest.mark.parametrize(
    "name", ["checkpoint-1", "checkpoint-00000000000000001", "checkpoint-٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠١", "Checkpoint-0000000000000001"]
)
def test_a_name_that_is_not_ours_is_no_checkpoint(name: str) -> None:
    assert parse_checkpoint_name(name) is None


@pytest.mark.parametrize("name", ["document-", "document-" + "0" * 31, "document-" + "G" * 32, "document-" + "A" * 32])
def test_a_name_that_is_not_ours_is_no_document(name: str) -> None:
    assert parse_document_name(name) is None


@pytest.mark.parametrize("name", ["ledger-1-2", "ledger-0000000000000001", "ledger-0000000000000001-0000000000000002.bak"])
def test_a_name_that_is_not_ours_is_no_ledger_file(name: str) -> None:
    assert parse_ledger_name(name) is None


def test_ledger_files_sort_like_their_lsns() -> None:
    names = [ledger_name(first, last) for first, last in ((1, 5), (6, 99), (100, 10**15))]
    assert names == sorted(names)


def test_digits_of_other_alphabets_make_no_name_of_ours() -> None:
    assert parse_keys_name("keys-١٢٣٤٥٦٧٨") is None
    assert parse_quarantine_name("٠٠٠٠٠٠٠١-٠٠٠٠٠٥١٢-" + "0" * 16) is None


def test_the_same_piece_of_a_segment_has_the_same_name_in_quarantine() -> None:
    assert quarantine_name(7, 512, b"\x01" * 32) == "00000007-00000512-0101010101010101"
