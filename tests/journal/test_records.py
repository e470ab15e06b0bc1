"""A record: the numbers that stand on disk, and the shape that its payload has there."""

from rap_journal.deterministic_cbor import decode
from rap_journal.payload import encode_payload
from rap_journal.records import FIRST_IGNORABLE_KIND, Category, Record, StrictLink
from tests.journal.workbench import BOOT_ID, IDENTITY, PEERS, record_of

LINK = StrictLink(7, b"d" * 16, 3)


def test_the_numbers_of_categories_stand_on_disk_and_never_change() -> None:
    assert [(category.name, int(category)) for category in Category] == [
        ("OBSERVATION", 0),
        ("DECISION", 1),
        ("REFUSAL", 2),
        ("EVICTION", 3),
        ("LIFECYCLE", 4),
        ("NOTE", 5),
    ]


def test_kinds_from_a_thousand_on_may_be_skipped() -> None:
    assert FIRST_IGNORABLE_KIND == 1000


def test_a_record_is_placed_without_changing_anything_else() -> None:
    record = record_of(IDENTITY, ["body"], causes=(1, 2), trace_id="trace", link=LINK, rows=3)
    placed = record.placed(99)
    assert placed == record._replace(lsn=99)
    assert (type(placed), record.lsn) == (Record, 0)


def test_the_payload_is_the_array_that_the_docstring_draws() -> None:
    first = record_of(IDENTITY, [1, b"x"], node_us=500, link=LINK)
    second = record_of(PEERS, [], node_us=520, causes=(4, 5), trace_id="trace", actor="other", rows=2, version=3, category=3)
    assert decode(encode_payload([first, second])) == [
        BOOT_ID,
        "tester",
        first.wall_us,
        first.boot_us,
        500,
        [
            [10, 1, 0, IDENTITY.number, 1, 0, [[], None, None, [7, b"d" * 16, 3]], [1, b"x"]],
            [10, 3, 3, PEERS.number, 2, 20, [[4, 5], "trace", "other", None], []],
        ],
    ]


def test_times_are_written_once_per_frame_and_a_record_adds_one_delta() -> None:
    """Clocks that step within a frame are not worth a field: wall and boot time of a later record do not show."""
    first = record_of(PEERS, [], node_us=500)
    stepped = record_of(PEERS, [], node_us=520)._replace(wall_us=1, boot_us=2)
    plain = record_of(PEERS, [], node_us=520)
    assert encode_payload([first, stepped]) == encode_payload([first, plain])


def test_a_record_without_causes_trace_or_link_has_no_meta() -> None:
    (*_times, [row]) = decode(encode_payload([record_of(PEERS, ["body"])]))
    assert row == [10, 1, 0, PEERS.number, 1, 0, None, ["body"]]
