"""Every refusal has its own word, a rule that exists, and a message that says what to do and holds nothing secret."""

from collections import Counter

import pytest

from rap_journal.errors import StateStoreError
from rap_projections.refusals import (
    BUNDLE_RULES,
    RULES,
    BadSchema,
    Equivocation,
    Expired,
    NoSuchCluster,
    NotAllowed,
    NotValidated,
    RefusedError,
)

KINDS = RefusedError.__subclasses__()


def made(kind: type[RefusedError]) -> RefusedError:
    if kind is Equivocation:
        return Equivocation("it differs", known_content_id=b"\xaa" * 32, other_content_id=b"\xbb" * 32)
    return kind("it differs")


def test_every_refusal_has_a_word_of_its_own() -> None:
    assert max(Counter(kind.word for kind in KINDS).values()) == 1
    assert "refused" not in {kind.word for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_refusal_names_a_rule_says_when_it_is_raised_and_what_to_do(kind: type[RefusedError]) -> None:
    assert kind.rule in RULES + BUNDLE_RULES
    assert kind.__doc__ is not None and kind.__doc__.startswith("Raised when ")
    assert made(kind).reason == kind.word
    assert (kind.exit_code, issubclass(kind, StateStoreError)) == (1, True)
    assert kind.advice in str(made(kind)) and "nothing was changed" in str(made(kind))


def test_actions_are_refetch_but_where_fetching_again_cannot_help() -> None:
    others = {kind.__name__: kind.action for kind in KINDS if kind.action != "refetch"}
    assert others == {
        "TooLarge": "operator",
        "UnsupportedAlgorithm": "operator",
        "UnsupportedFormat": "operator",
        "WrongDocumentType": "fix_call",
        "WrongFingerprint": "operator",
        "WrongUsage": "operator",
        "Equivocation": "operator",
        "RevocationDropped": "operator",
        "BadSchema": "operator",
        "WrongKey": "reenroll",
        "UnsupportedKey": "operator",
        "WrongName": "operator",
        "WrongPurpose": "operator",
        "WrongPeer": "operator",
        "TicketMismatch": "reenroll",
    }


def test_every_rule_of_the_order_has_a_refusal() -> None:
    assert {kind.rule for kind in KINDS} == set(RULES) | set(BUNDLE_RULES)


def test_message_names_document_cluster_and_place() -> None:
    refusal = BadSchema("not a name", place="body[3].id")
    refusal.concerning(cluster="eu-west-1", document_type="snapshot", scope="peers")
    refusal.concerning(cluster="another", document_type="head", scope="routes")
    assert str(refusal) == (
        "peers snapshot for cluster eu-west-1 refused: not a name at body[3].id; nothing was changed."
        " The issuer must follow the schema in DOCUMENTS.md."
    )
    assert refusal.facts() == {
        "cluster": "eu-west-1",
        "reason": "bad_schema",
        "rule": "schema",
        "document_type": "snapshot",
        "scope": "peers",
        "place": "body[3].id",
    }
    assert str(Expired("its validity has ended")).startswith("document refused: ")


def test_content_ids_of_an_equivocation_are_attributes_and_in_no_message() -> None:
    refusal = made(Equivocation)
    assert isinstance(refusal, Equivocation)
    assert (refusal.known_content_id, refusal.other_content_id) == (b"\xaa" * 32, b"\xbb" * 32)
    shown = str(refusal) + str(refusal.facts())
    assert "aa" * 4 not in shown and "bb" * 4 not in shown


@pytest.mark.parametrize(
    ("kind", "exit_code", "action"), [(NotAllowed, 1, "operator"), (NotValidated, 1, "operator"), (NoSuchCluster, 3, "fix_call")]
)
def test_errors_that_are_no_refusal_of_an_input(kind: type[StateStoreError], exit_code: int, action: str) -> None:
    assert not issubclass(kind, RefusedError)
    assert (kind.exit_code, kind.action) == (exit_code, action)
    assert kind.__doc__ is not None and kind.__doc__.startswith("Raised ")
