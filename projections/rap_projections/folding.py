"""All classes of one journal together: restored from checkpoints, advanced by records, digested and viewed.

Rules this file keeps:

- A record goes to the fold of its class and to no other.
- An unknown ignorable kind is skipped; an unknown critical one stops folding with `FormatTooNew`.
- A class whose fold needs a document that cannot be read is broken: it is left alone until its next reset, and costs no other class.
- The digest is that of the checkpoint values, so equal digests mean equal states, however they came about. Digests of different fold
  sets are never compared.

Example::

    state = FoldedState(CLUSTER_FOLDS, documents)
    state.apply(records)
    state.digest()
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from rap_journal.deterministic_cbor import encode_arrays
from rap_journal.errors import DamageError, FormatTooNew
from rap_journal.fold_sets import FoldSet, Upcast
from rap_journal.records import FIRST_IGNORABLE_KIND, Record
from rap_journal.values import ClassSpec
from rap_projections.documents import Documents
from rap_projections.event_kinds import kind_numbered, kind_of_type
from rap_projections.lifecycle import ClassReset


class ClassFolds(NamedTuple):
    """The functions of one class module.

    Attributes:
        fold_version: number of the fold set in which these folds, or the shape of their value, last changed.
        upcasts: by older version, the step from that version's value to a later one's. Frozen once released.
    """

    spec: ClassSpec
    empty: Callable[[], Any]
    folds: Mapping[type, Callable[[Any, Any, Record, Documents], None]]
    to_value: Callable[[Any], Any]
    from_value: Callable[[Any], Any]
    view: Callable[[Any], Any]
    fold_version: int = 1
    upcasts: Mapping[int, Upcast] = MappingProxyType({})


Fold = Callable[[Any, Any, Record, Documents], None]


class FoldedState:
    """The states of all classes at one LSN. Not thread-safe: its owner holds a lock, or is alone.

    Attributes:
        lsn: LSN of the last record folded.
        node_us: node time of that record, microseconds.
        broken: classes whose state means nothing, because a document could not be read, and the error that says so.
    """

    def __init__(self, classes: Sequence[ClassFolds], documents: Documents) -> None:
        self._classes = {folds.spec.number: folds for folds in classes}
        self._documents = documents
        self._known: dict[tuple[int, int, int], tuple[Callable[[Any], Any], Fold] | None] = {}
        self._states = {number: folds.empty() for number, folds in self._classes.items()}
        self.lsn = 0
        self.node_us = 0
        self.broken: dict[int, DamageError] = {}

    def __getitem__(self, spec: ClassSpec) -> Any:
        return self._states[spec.number]

    def restore(self, state_class: int, value: Any) -> None:
        """Take a checkpoint's value; None leaves the class empty."""
        folds = self._classes[state_class]
        self.broken.pop(state_class, None)
        self._states[state_class] = folds.empty() if value is None else folds.from_value(value)

    def apply(self, records: Sequence[Record]) -> None:
        """Fold durable records, in order. Raises `FormatTooNew` at an unknown critical kind."""
        if not records:
            return
        known, states, documents = self._known, self._states, self._documents
        for record in records:
            key = (record.kind, record.version, record.state_class)
            if key not in known:
                known[key] = self._look_up(record)
            entry = known[key]
            if entry is None or (self.broken and self._stays_broken(record)):
                continue
            make, fold = entry
            try:
                fold(states[record.state_class], make(record.body), record, documents)
            except DamageError as error:
                self.broken[record.state_class] = error
        last = records[-1]
        self.lsn = last.lsn + last.rows - 1
        self.node_us = max(self.node_us, last.node_us)

    def require_whole(self) -> None:
        """Raise the `DamageError` of a class that is broken."""
        for error in self.broken.values():
            raise error

    def view(self, spec: ClassSpec) -> Any:
        """The immutable view of one class."""
        return self._classes[spec.number].view(self._states[spec.number])

    def value(self, number: int) -> Any:
        """The checkpoint value of one class."""
        return self._classes[number].to_value(self._states[number])

    def class_digest(self, number: int) -> bytes:
        """SHA-256 of one class's checkpoint value."""
        return hashlib.sha256(encode_arrays(self.value(number))).digest()

    def class_digests(self) -> tuple[tuple[int, bytes], ...]:
        """Number and digest of every class, by number."""
        return tuple((number, self.class_digest(number)) for number in sorted(self._classes))

    def digest(self) -> str:
        """SHA-256, in hex, over the digests of all classes."""
        return hashlib.sha256(encode_arrays(self.class_digests())).hexdigest()

    def _stays_broken(self, record: Record) -> bool:
        """Whether the class of `record` is broken and goes on being so: a reset, which starts it anew, mends it."""
        if record.kind == _CLASS_RESET:
            self.broken.pop(record.state_class, None)
        return record.state_class in self.broken

    def _look_up(self, record: Record) -> tuple[Callable[[Any], Any], Fold] | None:
        kind = kind_numbered(record.kind, record.version)
        classes = self._classes.get(record.state_class)
        fold = classes.folds.get(kind.type) if kind is not None and classes is not None else None
        if kind is not None and fold is not None:
            return kind.type._make, fold
        if record.kind >= FIRST_IGNORABLE_KIND:
            return None
        raise FormatTooNew(
            f"record {record.lsn} is of kind {record.kind} version {record.version}, which this release does not know; "
            "nothing after it was read. Use the release that wrote it, or a later one.",
            lsn=record.lsn,
            reason="unknown_kind",
        )


def fold_set_of(classes: Sequence[ClassFolds], of_level: Mapping[int, int]) -> FoldSet:
    """The versions of all folds of one journal; `of_level`: number of the set that the first release of a format level had."""
    versions = {folds.spec.number: folds.fold_version for folds in classes}
    upcasts = {(folds.spec.number, version): step for folds in classes for version, step in folds.upcasts.items()}
    return FoldSet(max(versions.values()), versions, upcasts, of_level)


def diverged(
    state: FoldedState, fold_set: FoldSet, recorded_set: int, recorded: Sequence[tuple[int, bytes]]
) -> tuple[int, ...] | None:
    """Numbers of the classes whose state is not the one whose digest a `CheckpointWritten` recorded at the same LSN.

    None where it was recorded under another set of folds: then the digests say nothing about each other.
    """
    if recorded_set != fold_set.number:
        return None
    expected = dict(recorded)
    return tuple(number for number, digest in state.class_digests() if expected.get(number) != digest)


_CLASS_RESET = kind_of_type(ClassReset).number
