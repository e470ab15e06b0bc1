"""What is known of the anchor, as an object and in words."""

import pytest

from rap_projections.anchor_events import AnchorNote
from rap_tools.anchor_report import anchor_object, anchor_text

AT_US = 1_800_000_000_000_000
NOTE = AnchorNote(7, "floors", AT_US, {}, (), "current", 6, AT_US)


def test_the_object_has_numbers_and_times_and_no_floors() -> None:
    assert anchor_object(NOTE) == {
        "state": "current", "seen": 6, "seen_at": "2027-01-15T08:00:00.000000Z", "written": 7,
        "written_at": "2027-01-15T08:00:00.000000Z", "reason": "floors", "doubtful": [],
    }  # fmt: skip


def test_a_store_that_never_had_one_says_so() -> None:
    assert set(map(str, anchor_object(AnchorNote()).values())) == {"None", "[]"}
    assert anchor_text(anchor_object(AnchorNote())) == "none"


def test_in_step_is_calm() -> None:
    assert anchor_text(anchor_object(NOTE)) == (
        "in step since 2027-01-15T08:00:00.000000Z; floors written for number 7, 2027-01-15T08:00:00.000000Z"
    )


def coloured(note: AnchorNote) -> tuple[str, str]:
    piece = anchor_text(anchor_object(note))
    assert isinstance(piece, tuple) and piece[1] == "yellow"
    return piece


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("unavailable", "did not answer since"),
        ("rolled_back", "was ahead of the store: it was put back from a copy since"),
        ("behind", "is behind the store: another anchor, or made anew since"),
        ("lost", "has no counter any more since"),
    ],
)
def test_what_somebody_should_look_at_is_in_colour(state: str, words: str) -> None:
    assert coloured(NOTE._replace(state=state))[0].startswith(words)


def test_who_is_in_doubt_is_named() -> None:
    assert coloured(NOTE._replace(doubtful=("lab", "prod")))[0].endswith("; in doubt: lab, prod")
