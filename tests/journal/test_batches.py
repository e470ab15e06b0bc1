"""The queue of records that wait: who shares a frame with whom, and that a batch never outgrows one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.batches import WEIGHT_MAX, Batch, BatchQueue, weigh, weigh_record
from rap_journal.deterministic_cbor import encode_arrays
from rap_journal.errors import MisuseError
from rap_journal.limits import FRAME_BYTES_MAX, RECORDS_PER_FRAME_MAX
from rap_journal.payload import encode_payload
from rap_journal.records import Record, StrictLink
from tests.journal.test_payload import bodies, records
from tests.journal.workbench import HEALTH, IDENTITY, PEERS, record_of

ONE = [record_of(HEALTH, [1])]


def bodies_of(load: list[Batch]) -> list[list[object]]:
    """Bodies of each batch of a load."""
    return [[record.body for record in batch.records] for batch in load]


def add(queue: BatchQueue, body: object, *, strict: bool = False, privileged: bool = True, size: int = 0) -> None:
    queue.add([record_of(HEALTH, [body, bytes(size)] if size else [body])], strict=strict, privileged=privileged)


@given(bodies)
def test_a_weight_is_an_upper_bound_of_the_encoded_size(body: object) -> None:
    assert len(encode_arrays(body)) <= weigh(body)


@given(st.lists(records, min_size=1, max_size=5))
def test_the_weight_of_records_is_an_upper_bound_of_their_payload(given_records: list[Record]) -> None:
    head = len(encode_payload([record_of(HEALTH, [], actor="")])) + 4 * 64 + 30
    assert len(encode_payload(given_records)) <= head + sum(map(weigh_record, given_records))


def test_causes_trace_ids_and_actors_weigh_too() -> None:
    link = StrictLink(2**62, bytes(16), 2**62)
    heavy = record_of(HEALTH, [], causes=(2**62,) * 1000, trace_id="\U0001f600" * 64, actor="\U0001f600" * 64, link=link)
    light = record_of(HEALTH, [], actor="")
    difference = len(encode_payload([light, heavy])) - len(encode_payload([light]))
    assert difference <= weigh_record(heavy) < difference + 200


def test_records_of_one_submission_stay_together_and_in_order() -> None:
    queue = BatchQueue()
    ticket = queue.add([record_of(HEALTH, [n]) for n in range(3)], strict=False, privileged=True)
    (batch,) = queue.take([])
    assert [record.body for record in batch.records] == [[0], [1], [2]]
    batch.first_lsns = [11, 12, 13]
    assert (ticket.batch, ticket.start, ticket.record_count, ticket.last_lsn) == (batch, 0, 3, 13)


def test_submissions_of_a_kind_share_a_batch_and_know_their_place_in_it() -> None:
    queue = BatchQueue()
    first = queue.add(ONE, strict=False, privileged=True)
    second = queue.add(ONE * 2, strict=False, privileged=True)
    assert first.batch is second.batch and (second.start, second.record_count) == (1, 2)
    first.batch.first_lsns = [5, 6, 7]
    assert (first.last_lsn, second.last_lsn) == (5, 7)
    assert len(queue) == 1


def test_strict_records_never_share_a_frame_with_others() -> None:
    queue = BatchQueue()
    add(queue, "a")
    add(queue, "b", strict=True)
    add(queue, "c", strict=True)
    add(queue, "d")
    assert [bodies_of(queue.take([])) for _ in range(3)] == [[[["a"]]], [[["b"], ["c"]]], [[["d"]]]]


def test_records_without_privilege_share_a_frame_and_not_a_batch_with_privileged_ones() -> None:
    queue = BatchQueue()
    add(queue, "a", privileged=False)
    add(queue, "b", privileged=True)
    add(queue, "c", privileged=True)
    load = queue.take([])
    assert bodies_of(load) == [[["a"]], [["b"], ["c"]]]
    assert [batch.privileged for batch in load] == [False, True]
    assert queue.take([]) == []


def test_a_strict_batch_has_the_privilege_it_was_given() -> None:
    queue = BatchQueue()
    ticket = queue.add([record_of(IDENTITY, [1])], strict=True, privileged=False)
    assert not ticket.batch.privileged


def test_a_load_never_outgrows_a_frame() -> None:
    queue = BatchQueue()
    add(queue, "a", privileged=False, size=WEIGHT_MAX // 2)
    add(queue, "b", privileged=True, size=WEIGHT_MAX // 2)
    assert [len(queue.take([])), len(queue.take([]))] == [1, 1]


def test_a_batch_is_closed_when_the_next_submission_does_not_fit() -> None:
    queue = BatchQueue()
    rows = [record_of(PEERS, [1], rows=RECORDS_PER_FRAME_MAX)]
    first = queue.add(rows, strict=False, privileged=True)
    second = queue.add(ONE, strict=False, privileged=True)
    assert first.batch is not second.batch
    assert first.batch.rows == RECORDS_PER_FRAME_MAX


@pytest.mark.parametrize(
    ("given_records", "reason"),
    [
        ([], "no_records"),
        ([record_of(PEERS, [1], rows=RECORDS_PER_FRAME_MAX + 1)], "batch_too_large"),
        (ONE * (RECORDS_PER_FRAME_MAX + 1), "batch_too_large"),
        ([record_of(PEERS, [bytes(FRAME_BYTES_MAX)])], "batch_too_large"),
    ],
    ids=["none", "too many rows", "too many records", "too large"],
)
def test_what_cannot_share_one_frame_is_refused_and_nothing_is_queued(given_records: list[Record], reason: str) -> None:
    queue = BatchQueue()
    with pytest.raises(MisuseError) as caught:
        queue.add(given_records, strict=False, privileged=True)
    assert caught.value.reason == reason
    assert len(queue) == 0


def test_the_age_of_the_queue_is_that_of_its_oldest_record() -> None:
    queue = BatchQueue()
    assert queue.oldest_boot_us() is None
    queue.add([record_of(HEALTH, [1], boot_us=70), record_of(HEALTH, [2], boot_us=80)], strict=False, privileged=True)
    queue.add([record_of(IDENTITY, [1], boot_us=90)], strict=True, privileged=True)
    assert queue.oldest_boot_us() == 70


def test_draining_gives_all_batches_and_leaves_none() -> None:
    queue = BatchQueue()
    add(queue, "a")
    add(queue, "b", strict=True)
    assert queue.waiting() == queue.drain()
    assert len(queue) == 0 and queue.take([]) == []


@pytest.mark.parametrize("value", [1 << 63, -(1 << 63) - 1, 1.5, "\ud800", {}, object(), [[("a", {1})]]])
def test_what_a_record_cannot_hold_is_refused_with_nothing_queued(value: object) -> None:
    queue = BatchQueue()
    with pytest.raises(MisuseError) as caught:
        queue.add([*ONE, record_of(HEALTH, [value])], strict=False, privileged=True)
    assert (caught.value.reason, len(queue)) == ("type", 0)
