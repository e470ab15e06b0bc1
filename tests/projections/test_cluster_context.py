"""What the calls of a cluster share: here, what happens any number of times and is written once in a while."""

import pytest

from rap_journal.errors import NoSpace
from rap_projections.refusals import BadSignature
from tests.projections.store_kit import Ready, fill, ready, written


def forged(it: Ready) -> bytes:
    """A routes document with a broken signature."""
    document = it.fabric.routes([("node-1", [])])
    return document[:-1] + bytes([document[-1] ^ 1])


def refuse(it: Ready, times: int) -> None:
    document = forged(it)
    for _time in range(times):
        with pytest.raises(BadSignature):
            it.cluster.activate(document, source="mirror")


def test_a_flood_of_bad_documents_is_one_event_per_interval_which_says_how_many_there_were() -> None:
    it = ready()
    lsn = it.cluster._core.journal.durable_lsn
    refuse(it, 100)
    assert len(written(it, lsn)) == 1
    it.kit.clock.advance(seconds=60)
    refuse(it, 1)
    assert len(written(it, lsn)) == 2
    (refusal,) = it.cluster.view().snapshots.refusals
    assert (refusal.source, refusal.subject, refusal.reason, refusal.times) == ("mirror", "routes", "bad_signature", 101)


def test_what_found_no_space_to_be_written_is_counted_on() -> None:
    it = ready()
    fill(it)
    refuse(it, 3)
    assert it.cluster.view().snapshots.refusals == ()
    it.kit.filesystem.capacity_bytes = None
    refuse(it, 1)
    assert [refusal.times for refusal in it.cluster.view().snapshots.refusals] == [4]


def test_what_was_not_decided_is_not_counted() -> None:
    it = ready()
    context = it.cluster._context

    def refused(now: object, times: int) -> tuple[()]:
        raise NoSpace("no", file="x")

    with pytest.raises(NoSpace):
        context.coalesce("x", "key", refused)
    seen: list[int] = []

    def counted(now: object, times: int) -> tuple[()]:
        seen.append(times)
        return ()

    context.coalesce("x", "key", counted)
    assert seen == [1]
