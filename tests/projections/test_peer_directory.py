"""The signed side of the peer cache, and its numbers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_projections.documents import PeerEntry, Version
from rap_projections.peer_directory import EMPTY, NO_VERSION, Directory
from rap_projections.testing.entries import make_peer


def listing(names: str, after: Directory = EMPTY, *, lsn: int = 1, peers_max: int = 100) -> Directory:
    """The directory after a snapshot that lists one peer per letter."""
    return after.succeeded_by(names.encode(), Version(1, lsn), map(make_peer, names), peers_max=peers_max, lsn=lsn)


def test_new_peers_are_numbered_in_the_order_of_their_ids() -> None:
    directory = listing("cab")
    assert directory.number_of == {"a": 0, "b": 1, "c": 2}
    assert directory.ids == ("a", "b", "c")
    assert directory.entry(1) == make_peer("b")
    assert (directory.content_id, directory.version) == (b"cab", Version(1, 1))


def test_a_peer_that_stays_keeps_its_number_and_new_ones_take_the_lowest_free() -> None:
    directory = listing("bdxyz", listing("abcd"), lsn=9)
    assert directory.number_of == {"x": 0, "b": 1, "y": 2, "d": 3, "z": 4}
    assert directory.assigned_lsn.tolist() == [9, 1, 9, 1, 9]


def test_numbers_that_are_free_at_the_end_are_given_up() -> None:
    directory = listing("b", listing("abcd"), lsn=2)
    assert directory.ids == ("", "b")
    assert directory.assigned_lsn.tolist() == [0, 1]
    assert directory.number_of == {"b": 1}


def test_only_a_changed_entry_gets_new_provenance() -> None:
    first = EMPTY.succeeded_by(b"1", Version(1, 1), [make_peer("a"), make_peer("b")], peers_max=9, lsn=1)
    moved = PeerEntry("b", ("quic://elsewhere:1",), make_peer("b").certificate_fingerprints, ("relay",))
    second = first.succeeded_by(b"2", Version(1, 2), [make_peer("a"), moved], peers_max=9, lsn=5)
    assert second.entry_lsn.tolist() == [1, 5]
    assert second.entry(1) == moved
    assert (second.applied_lsn, second.numbering_lsn) == (5, 1), "no number was given or taken"


def test_the_same_snapshot_again_changes_nothing_but_the_lsn_it_was_applied_at() -> None:
    first = listing("abc")
    again = first.succeeded_by(b"abc", Version(1, 1), map(make_peer, "abc"), peers_max=100, lsn=7)
    assert again.to_value() == (*first.to_value()[:2], 7, *first.to_value()[3:])


def test_over_the_limit_peers_that_stay_come_first_and_the_rest_is_counted() -> None:
    directory = listing("abcdx", listing("x"), lsn=2, peers_max=3)
    assert directory.number_of == {"x": 0, "a": 1, "b": 2}
    assert directory.left_out == 2


def test_a_limit_below_the_peers_that_stay_keeps_the_lowest_numbers() -> None:
    directory = listing("abcd", listing("abcd"), lsn=2, peers_max=2)
    assert directory.number_of == {"a": 0, "b": 1}
    assert (directory.left_out, directory.numbering_lsn) == (2, 2)


def test_evicted_peers_are_counted_as_left_out() -> None:
    directory = listing("abcd").without([0, 2, 77], peers_max=2, lsn=4)
    assert directory.number_of == {"b": 1, "d": 3}
    assert (directory.left_out, directory.peers_max, directory.numbering_lsn, directory.applied_lsn) == (2, 2, 4, 4)


def test_no_snapshot_means_no_peers() -> None:
    directory = listing("abc").succeeded_by(None, NO_VERSION, (), peers_max=9, lsn=3)
    assert (directory.content_id, directory.ids, dict(directory.number_of)) == (None, (), {})


def test_a_directory_that_was_handed_out_stays_as_it_was() -> None:
    first = listing("abc")
    value = first.to_value()
    listing("xyz", first, lsn=2)
    first.without([0], peers_max=2, lsn=3)
    assert first.to_value() == value


@given(st.lists(st.frozensets(st.sampled_from("abcdefgh")), max_size=6), st.integers(0, 8))
def test_numbers_are_dense_unique_and_bounded_and_the_value_reads_back(listings: list[frozenset[str]], peers_max: int) -> None:
    directory = EMPTY
    for lsn, names in enumerate(listings, 1):
        before = dict(directory.number_of)
        entries = [make_peer(name)._replace(roles=("relay",) * (lsn % 2)) for name in sorted(names)]
        directory = directory.succeeded_by(b"1", Version(1, lsn), entries, peers_max=peers_max, lsn=lsn)
        assert len(directory.number_of) == min(peers_max, len(names))
        assert {name: number for name, number in before.items() if name in names}.items() >= {
            name: number for name, number in directory.number_of.items() if name in before
        }.items()
        assert [directory.ids[number] for number in directory.number_of.values()] == list(directory.number_of)
        assert not directory.ids or directory.ids[-1]
        assert Directory.from_value(directory.to_value()) == directory


@pytest.mark.parametrize("index", range(6, 15))
def test_a_value_with_columns_of_different_lengths_is_refused(index: int) -> None:
    value: list[Any] = list(listing("abc").to_value())
    value[index] = value[index][:-1]
    with pytest.raises((ValueError, IndexError)):
        Directory.from_value(value)
