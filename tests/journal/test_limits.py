"""The sizes that bound everything fit each other, and the structures on disk have the sizes that the tables name."""

from rap_journal import format as on_disk
from rap_journal import limits


def test_a_frame_holds_an_inline_document_and_a_full_batch_of_rows() -> None:
    assert limits.INLINE_DOCUMENT_BYTES_MAX < limits.FRAME_BYTES_MAX // 2
    assert limits.RECORDS_PER_FRAME_MAX * 96 < limits.FRAME_BYTES_MAX


def test_the_reserve_takes_a_frame_that_carries_an_inline_document_or_the_spare_does() -> None:
    assert limits.PREPARE_BYTES > limits.INLINE_DOCUMENT_BYTES_MAX + limits.RESERVE_BYTES
    assert limits.RESERVE_BYTES >= limits.INLINE_DOCUMENT_BYTES_MAX


def test_what_is_prepared_ahead_of_the_writer_is_never_taken_for_more_than_one_torn_frame() -> None:
    assert limits.PREPARE_BYTES + limits.RESERVE_BYTES < limits.FRAME_BYTES_MAX


def test_the_smallest_segment_has_room_for_a_header_a_reserve_and_a_frame() -> None:
    reserve = limits.SEGMENT_BYTES_MIN // 4
    assert on_disk.SEGMENT_HEADER_BYTES + reserve + on_disk.FRAME_OVERHEAD_BYTES + 1024 < limits.SEGMENT_BYTES_MIN


def test_every_class_number_has_a_bit_in_the_class_mask() -> None:
    assert limits.CLASS_COUNT_MAX == 16


def test_frames_stand_on_multiples_of_eight() -> None:
    assert limits.ALIGNMENT == 8
    for length in range(64):
        assert (length + on_disk.padding(length)) % limits.ALIGNMENT == 0
        assert 0 <= on_disk.padding(length) < limits.ALIGNMENT
    assert on_disk.SEGMENT_HEADER_BYTES % limits.ALIGNMENT == on_disk.FRAME_OVERHEAD_BYTES % limits.ALIGNMENT == 0


def test_structures_have_the_sizes_that_the_tables_name() -> None:
    assert on_disk.FRAME_HEADER.size == 80
    assert on_disk.SEGMENT_HEADER.size == 512
    assert on_disk.WITNESS_HEADER.size == 152
    assert on_disk.MARKER_BLOCK.size == 512
    assert on_disk.KEYS_HEADER.size == 64
    assert on_disk.KEYS_SLOT.size == 128
    assert on_disk.SEALED_HEADER.size == 128
    assert on_disk.QUARANTINE_HEADER.size == 128
