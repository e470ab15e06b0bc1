"""Where the bytes of a kept document are: a sealed file, and for small ones a second copy in the event itself.

Rules this file keeps:

- A document is on disk and synced before the frame that names it; the file is named by the first half of its salt.
- Documents of up to 64 KiB ride along inside the event, so that a revocation can be written on a full disk and a lost file repaired.

Example::

    stored = stored_document(document, file_id=shelf_file_id)
    assert stored.inline == document
"""

from typing import NamedTuple

from rap_journal.limits import INLINE_DOCUMENT_BYTES_MAX


class StoredDocument(NamedTuple):
    """A document as it is kept.

    Attributes:
        file_id: 16 bytes that name the sealed file (the first half of its salt); empty where the event alone holds the document.
        size: length of the document as received, in bytes.
        inline: the document as received, where it is at most 64 KiB; else empty.
    """

    file_id: bytes
    size: int
    inline: bytes

    def __repr__(self) -> str:
        return f"StoredDocument(file_id={self.file_id.hex()!r}, size={self.size}, inline={bool(self.inline)})"

    def without_inline(self) -> "StoredDocument":
        """The same file without its second copy; the same document, where no file holds it."""
        return self._replace(inline=b"") if self.file_id else self


def stored_document(document: bytes, *, file_id: bytes) -> StoredDocument:
    """How `document` is kept, given the digest of its sealed file."""
    return StoredDocument(file_id, len(document), document if len(document) <= INLINE_DOCUMENT_BYTES_MAX else b"")
