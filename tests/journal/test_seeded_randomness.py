"""Randomness that repeats."""

from rap_journal.testing import SeededRandomness


def test_the_same_seed_gives_the_same_bytes_in_the_same_order() -> None:
    first, second = SeededRandomness(7), SeededRandomness(7)
    assert [first(n) for n in (16, 1, 0, 1000)] == [second(n) for n in (16, 1, 0, 1000)]


def test_calls_seeds_and_kinds_of_seed_differ() -> None:
    randomness = SeededRandomness(7)
    drawn = [randomness(16), randomness(16), SeededRandomness(8)(16), SeededRandomness("7")(16)]
    assert len(set(drawn)) == 4


def test_each_call_gives_exactly_the_bytes_asked_for() -> None:
    randomness = SeededRandomness("any text")
    assert [len(randomness(n)) for n in (0, 1, 12, 32, 4097)] == [0, 1, 12, 32, 4097]


def test_the_bytes_are_pinned_so_that_stored_failures_repeat() -> None:
    randomness = SeededRandomness(1)
    assert randomness(8).hex() == "5613acfa066091c0"


def test_a_failure_message_shows_the_seed() -> None:
    assert repr(SeededRandomness(42)) == "SeededRandomness(42)"
