"""What of the unsynced outlives a power cut: choices that are values, and a random one that can be repeated."""

from collections import Counter

import pytest

from rap_journal.testing import EverythingSurvives, NothingSurvives, RandomSurvival, SeededRandomness
from rap_journal.testing.survival import SECTOR_BYTES, NameChange, SurvivingFile, UnsyncedFile

CHANGES = tuple(NameChange(number, "create", f"file-{number}", None) for number in range(3, 7))
GROWN = UnsyncedFile("/store/a", 2 * SECTOR_BYTES, 5 * SECTOR_BYTES, (0, 1, 2, 3, 4))
SEEDS = range(300)


def survivals(seeds: range = SEEDS, *, atomic_sectors: bool = True) -> list[RandomSurvival]:
    return [RandomSurvival(SeededRandomness(seed), atomic_sectors=atomic_sectors) for seed in seeds]


def test_a_sector_is_the_largest_write_that_a_device_does_whole() -> None:
    assert SECTOR_BYTES == 512


def test_nothing_means_old_names_old_size_and_old_bytes() -> None:
    assert list(NothingSurvives().names(CHANGES)) == []
    assert NothingSurvives().content(GROWN) == SurvivingFile(GROWN.durable_size, {})


def test_everything_means_new_names_new_size_and_new_bytes() -> None:
    assert EverythingSurvives().names(CHANGES) == [3, 4, 5, 6]
    assert EverythingSurvives().content(GROWN) == SurvivingFile(GROWN.size, dict.fromkeys(range(5), "new"))


def test_the_same_seed_makes_the_same_choices_in_the_same_order() -> None:
    for seed in range(20):
        one, other = RandomSurvival(SeededRandomness(seed)), RandomSurvival(SeededRandomness(seed))
        assert [one.names(CHANGES), one.content(GROWN)] == [other.names(CHANGES), other.content(GROWN)]


def test_random_names_are_a_prefix_half_the_time_and_any_subset_else() -> None:
    kept = Counter(tuple(survival.names(CHANGES)) for survival in survivals())
    prefixes = {tuple(range(3, end)) for end in range(3, 8)}
    assert prefixes <= kept.keys()
    assert len(kept) == 2**4, "every subset is among the outcomes"
    # Half of the choices are one of five prefixes; of the other half, five in sixteen happen to be one.
    assert 0.55 < sum(count for names, count in kept.items() if names in prefixes) / len(SEEDS) < 0.75


def test_a_random_size_is_the_old_or_the_new_one() -> None:
    sizes = Counter(survival.content(GROWN).size for survival in survivals())
    assert sizes.keys() == {GROWN.durable_size, GROWN.size}
    assert min(sizes.values()) > len(SEEDS) / 3


def test_random_sectors_are_all_new_or_new_up_to_one_or_each_for_itself() -> None:
    fates = [survival.content(GROWN).fates for survival in survivals()]
    whole = [fate for fate in fates if fate == dict.fromkeys(range(5), "new")]
    torn = [fate for fate in fates if len(fate) < 5]
    mixed = [fate for fate in fates if len(fate) == 5 and set(fate.values()) != {"new"}]
    assert all(list(fate) == list(range(len(fate))) and set(fate.values()) <= {"new"} for fate in torn)
    assert {len(fate) for fate in torn} == {0, 1, 2, 3, 4}
    assert min(len(whole), len(torn), len(mixed)) > len(SEEDS) / 5


@pytest.mark.parametrize("atomic_sectors", [True, False])
def test_a_sector_that_existed_is_never_zeros_or_garbage_unless_the_device_tears_it(*, atomic_sectors: bool) -> None:
    old, new = set[object](), set[object]()
    for survival in survivals(atomic_sectors=atomic_sectors):
        for sector, fate in survival.content(GROWN).fates.items():
            kind = "garbage" if isinstance(fate, bytes) else fate
            (old if sector < 2 else new).add(kind)
            assert not isinstance(fate, bytes) or len(fate) == SECTOR_BYTES
    assert new == {"new", "old", "zero", "garbage"}
    assert old == ({"new", "old"} if atomic_sectors else new)


def test_a_device_does_not_tear_sectors_unless_it_is_told_to() -> None:
    for seed in range(50):
        plain, atomic = (RandomSurvival(SeededRandomness(seed), **options) for options in ({}, {"atomic_sectors": True}))
        assert plain.content(GROWN) == atomic.content(GROWN)


def test_the_sector_right_behind_the_durable_end_is_new() -> None:
    fates = [fates[2] for survival in survivals() if 2 in (fates := survival.content(GROWN).fates)]
    assert "zero" in fates


def test_a_sector_of_which_one_byte_was_durable_existed() -> None:
    barely = UnsyncedFile("/store/a", SECTOR_BYTES + 1, 3 * SECTOR_BYTES, (0, 1, 2))
    fates = [survival.content(barely).fates for survival in survivals()]
    assert {fate[1] for fate in fates if 1 in fate} == {"new", "old"}
    assert "zero" in {fate[2] for fate in fates if 2 in fate}
