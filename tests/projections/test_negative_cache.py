"""The negative cache: what the bytes alone decide is refused without another look, and nothing else is."""

from contextlib import suppress

import pytest

from rap_projections.documents import DocumentType
from rap_projections.negative_cache import ENTRIES_MAX, NegativeCache
from rap_projections.refusals import (
    BadSignature,
    Expired,
    HeadRequired,
    NotForThisNode,
    RefusedError,
    Rollback,
    WrongBase,
    WrongScope,
)
from tests.projections.store_kit import ready

ASKED = DocumentType.SNAPSHOT


def test_a_refusal_that_the_bytes_decide_is_raised_again_as_an_error_of_its_own() -> None:
    cache, first = NegativeCache(), BadSignature("it does not verify", cluster="lab", document_type="snapshot", scope="peers")
    cache.raise_known(ASKED, b"document")
    cache.remember(ASKED, b"document", first)
    for _time in range(2):
        with pytest.raises(BadSignature) as caught:
            cache.raise_known(ASKED, b"document")
        assert caught.value is not first
        assert (str(caught.value), caught.value.facts()) == (str(first), first.facts())
    cache.raise_known(ASKED, b"another document")


@pytest.mark.parametrize("kind", [Expired, HeadRequired, NotForThisNode, Rollback, WrongBase, WrongScope])
def test_what_time_roles_heads_or_the_caller_decide_is_not_remembered(kind: type[RefusedError]) -> None:
    """Mutation: remember every refusal."""
    cache = NegativeCache()
    cache.remember(ASKED, b"document", kind("why"))
    assert len(cache) == 0


def test_the_right_document_at_the_wrong_call_is_taken_by_its_own() -> None:
    """Mutation: whoever has the newest bundle offered as a snapshot keeps it, and what it revokes, out until the next opening."""
    it = ready()
    it.fabric.issued_at_s += 1
    head, routes, bundle = it.fabric.head(), it.fabric.routes([("node-1", [])]), it.fabric.next_bundle()
    for document in (head, routes, bundle):
        for call in (it.cluster.activate, it.cluster.snapshots.take_head, it.cluster.trust.update):
            with suppress(RefusedError):
                call(document)
    trust, scopes = it.cluster.view().trust, it.cluster.view().snapshots
    assert (trust.bundle.version, scopes.head_floor.version.version, scopes.scope("routes").active is not None) == (2, 1, True)


def test_under_another_trust_everything_is_judged_anew() -> None:
    cache = NegativeCache()
    cache.remember(ASKED, b"document", BadSignature("why"))
    with pytest.raises(BadSignature):
        cache.raise_known(ASKED, b"document")
    cache.clear()
    cache.raise_known(ASKED, b"document")
    assert len(cache) == 0


def test_the_oldest_refusal_gives_way() -> None:
    """Mutation: never drop an entry."""
    cache = NegativeCache()
    for number in range(ENTRIES_MAX + 1):
        cache.remember(ASKED, b"%d" % number, BadSignature("why"))
    assert len(cache) == ENTRIES_MAX
    cache.raise_known(ASKED, b"0")
    with pytest.raises(BadSignature):
        cache.raise_known(ASKED, b"1")
