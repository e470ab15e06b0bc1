"""How a kept document is named, and when the event carries a second copy."""

import pytest

from rap_projections.stored_document import StoredDocument, stored_document


@pytest.mark.parametrize(("size", "inline"), [(0, 0), (1, 1), (65_536, 65_536), (65_537, 0)])
def test_a_document_of_up_to_64_kib_rides_along(size: int, inline: int) -> None:
    stored = stored_document(b"x" * size, file_id=b"d" * 32)
    assert stored == StoredDocument(b"d" * 32, size, b"x" * inline)


def test_without_its_copy_only_the_file_remains() -> None:
    assert stored_document(b"abc", file_id=b"d").without_inline() == StoredDocument(b"d", 3, b"")


def test_a_document_that_no_file_holds_keeps_its_only_copy() -> None:
    stored = stored_document(b"abc", file_id=b"")
    assert stored.without_inline() == stored
