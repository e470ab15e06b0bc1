"""What the demonstration's processes tell each other."""

import pytest

from rap_tools.demo_messages import (
    Acknowledged,
    Begun,
    Checkpointed,
    Closed,
    Failed,
    Message,
    Opened,
    Order,
    from_line,
    order_text,
    read_order,
    to_line,
)

MESSAGES: list[Message] = [
    Opened("lab", 5, "ab" * 32, 12.5, 3, 0, 3, 1, "clean", 0, False, ["a sentence"]),
    Begun("lab", 12, 95),
    Acknowledged("lab", 12, 1234, "cd" * 32, 1140, 1190, 0.25, 77),
    Checkpointed("lab", 1234, 24_000, 130.5),
    Failed("the disk is full", 12),
    Closed(),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_out_as_it_went_in_on_one_line(message: Message) -> None:
    line = to_line(message)
    assert line.count("\n") == 1
    assert from_line(line) == message


def test_a_line_that_the_kill_cut_is_no_message() -> None:
    assert from_line(to_line(Begun("lab", 12, 95))[:-1]) is None


def test_an_order_comes_out_as_it_went_in() -> None:
    order = Order("/tmp/node", "/tmp/node.key", None, 60, 7, 123_456, 1_800_000_000, {"lab": 12})
    assert read_order(order_text(order)) == order
