"""The negative cache: what the bytes alone decide is refused without another look, and nothing else is."""

import pytest

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


def test_a_refusal_that_the_bytes_decide_is_raised_again_as_an_error_of_its_own() -> None:
    cache, first = NegativeCache(), BadSignature("it does not verify", cluster="lab", document_type="snapshot", scope="peers")
    cache.raise_known(b"document")
    cache.remember(b"document", first)
    for _time in range(2):
        with pytest.raises(BadSignature) as caught:
            cache.raise_known(b"document")
        assert caught.value is not first
        assert (str(caught.value), caught.value.facts()) == (str(first), first.facts())
    cache.raise_known(b"another document")


@pytest.mark.parametrize("kind", [Expired, HeadRequired, NotForThisNode, Rollback, WrongBase, WrongScope])
def test_what_time_roles_heads_or_the_caller_decide_is_not_remembered(kind: type[RefusedError]) -> None:
    """Mutation: remember every refusal."""
    cache = NegativeCache()
    cache.remember(b"document", kind("why"))
    assert len(cache) == 0


def test_under_another_trust_everything_is_judged_anew() -> None:
    cache = NegativeCache()
    cache.remember(b"document", BadSignature("why"))
    with pytest.raises(BadSignature):
        cache.raise_known(b"document")
    cache.clear()
    cache.raise_known(b"document")
    assert len(cache) == 0


def test_the_oldest_refusal_gives_way() -> None:
    """Mutation: never drop an entry."""
    cache = NegativeCache()
    for number in range(ENTRIES_MAX + 1):
        cache.remember(b"%d" % number, BadSignature("why"))
    assert len(cache) == ENTRIES_MAX
    cache.raise_known(b"0")
    with pytest.raises(BadSignature):
        cache.raise_known(b"1")
