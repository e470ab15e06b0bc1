"""What the map of the specification is made of: a bullet, and where its answer is found."""

from typing import Literal, NamedTuple


class Answer(NamedTuple):
    """One bullet of the specification.

    Attributes:
        section: number of the section, 4 to 12.
        text: the bullet, word for word.
        calls: where a caller, or an operator, finds it.
        due: whether the calls must exist now.
        reason: why it is due later.
    """

    section: int
    text: str
    calls: tuple[str, ...]
    due: Literal["now", "later"]
    reason: str = ""


def now(section: int, text: str, *calls: str) -> Answer:
    return Answer(section, text, calls, "now")


def later(section: int, text: str, *calls: str, reason: str) -> Answer:
    return Answer(section, text, calls, "later", reason)
