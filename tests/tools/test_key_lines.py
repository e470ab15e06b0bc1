"""The keys of a store as text: what stands in the object, in words, with what needs attention in colour."""

import io
from typing import Any

from rap_tools.key_lines import print_journal, print_keys
from rap_tools.opening import SEALED
from rap_tools.text_output import TextWriter

FIELDS: dict[str, Any] = {
    "store_id": "ab" * 16,
    "key_provider": "kernel_keyring",
    "given": "file",
    "anchor": SEALED,
    "lacking": {"lab": ["recovery_passphrase", "tpm2"]},
}
GENERATION: dict[str, Any] = {
    "generation": 2,
    "is_current": True,
    "written_at": "2027-01-15T08:00:00.000000Z",
    "copies": {"identity": "whole", "trust": "whole"},
    "is_authentic": True,
    "slots": [
        {"id": "11" * 8, "provider": "file", "opens": True},
        {"id": "22" * 8, "provider": "recovery_passphrase", "opens": False},
        {"id": "33" * 8, "provider": "tpm2", "opens": None},
    ],
}
JOURNAL: dict[str, Any] = {"journal": "lab", "key_provider": "file", "generations": [GENERATION], "error": None, "exit_code": 0}


def keys_text(**changes: Any) -> str:
    stream = io.StringIO()
    print_keys(TextWriter(stream, color=False), "/node", FIELDS | changes)
    return stream.getvalue()


def journal_text(**changes: Any) -> str:
    stream = io.StringIO()
    print_journal(TextWriter(stream, color=False), JOURNAL | changes)
    return stream.getvalue()


def generation_text(**changes: Any) -> str:
    return journal_text(generations=[GENERATION | changes])


def test_the_store_says_who_keeps_its_key_and_what_lacks_a_way_in() -> None:
    assert keys_text() == (
        "store /node\n"
        "  store id      abababababababababababababababab\n"
        "  key provider  kernel keyring\n"
        "  key given     file\n"
        "  anchor        (sealed)\n"
        "  lacking       lab: lacks a slot for recovery passphrase, tpm2\n"
    )


def test_without_a_key_it_says_what_is_not_looked_at() -> None:
    assert "key given     none: whether a slot opens, and whether its list was changed, is not looked at\n" in keys_text(
        given=None
    )


def test_an_agents_journal_that_cannot_be_read_leaves_the_anchor_unknown() -> None:
    assert "anchor        unknown: the agent's journal cannot be read\n" in keys_text(anchor=None)


def test_a_journal_says_what_each_data_key_is_for_and_who_opens_it() -> None:
    assert journal_text() == (
        "\n"
        "cluster lab\n"
        "  data key 2, seals everything new; written 2027-01-15T08:00:00.000000Z; 2 whole copies, list of slots as it was sealed\n"
        "    slot 1111111111111111  file                 opens with the key given\n"
        "    slot 2222222222222222  recovery passphrase  does not open with it\n"
        "    slot 3333333333333333  tpm2\n"
    )


def test_an_older_data_key_opens_what_was_sealed_before() -> None:
    assert "  data key 2, opens what was sealed before; " in generation_text(is_current=False)


def test_copies_that_are_not_whole_are_named_with_their_folder() -> None:
    assert "; copies: trust: damaged" in generation_text(copies={"identity": "whole", "trust": "damaged"})


def test_a_list_that_was_changed_cannot_be_overlooked() -> None:
    assert ", LIST OF SLOTS CHANGED\n" in generation_text(is_authentic=False)
    assert "2 whole copies\n" in generation_text(is_authentic=None)


def test_a_problem_stands_before_what_can_be_shown_all_the_same() -> None:
    text = journal_text(error={"message": "the given key opens no slot.", "try": "rap-state keys"}, journal="agent")
    assert text.startswith("\nagent\n  error  the given key opens no slot.\n  try    rap-state keys\n  data key 2")
