"""Versions of the folds that checkpoints were made by, and the ways from an older version's value to the present one's.

Rules this file keeps:

- A set of folds has a number, which rises whenever the folds of any class change. A class's version is the number of the set in which
  its own folds last changed; it stands in its checkpoints.
- An older version's value is brought up step by step, by functions that are frozen once they were released. Where a step is missing,
  or the version is later than the present one, the checkpoint is passed over, and an older one is replayed from.
- Before the first record a class is empty in every set, so a checkpoint at LSN 0 can always be used.

What a value means is the projections' business.

Example::

    folds = FoldSet(2, {7: 2, 8: 1}, {(7, 1): Upcast(2, upcast_v1_v2)})
    folds.brought_up(7, 1, value)
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from rap_journal.errors import DamageError

_NONE: Mapping[Any, Any] = MappingProxyType({})


class Upcast(NamedTuple):
    """One step: to which version it leads, and the function from the older value to that version's. Frozen once released."""

    to_version: int
    function: Callable[[Any], Any]


class FoldSet(NamedTuple):
    """The folds of one release, as checkpoints see them.

    Attributes:
        number: number of the set.
        versions: by class number, the set in which its folds last changed; `number` for a class that is not listed.
        upcasts: by class number and older version, the step from there.
        of_level: by format level, the number of the set that the first release of that level had: what a node may go back to.
    """

    number: int
    versions: Mapping[int, int] = _NONE
    upcasts: Mapping[tuple[int, int], Upcast] = _NONE
    of_level: Mapping[int, int] = _NONE

    def version_of(self, state_class: int) -> int:
        """The version of a class's folds."""
        return self.versions.get(state_class, self.number)

    def can_bring_up(self, state_class: int, version: int) -> bool:
        """Whether a value of this version can be used."""
        while version != self.version_of(state_class):
            step = self.upcasts.get((state_class, version))
            if step is None:
                return False
            version = step.to_version
        return True

    def brought_up(self, state_class: int, version: int, value: Any) -> Any:
        """`value`, which folds of `version` made, as the present folds have it. Raises `DamageError` where there is no way."""
        while version != self.version_of(state_class):
            step = self.upcasts.get((state_class, version))
            if step is None:
                raise DamageError(
                    f"a checkpoint was made by folds of version {version}, from which no way leads here; it was passed over.",
                    reason="other_folds",
                )
            try:
                version, value = step.to_version, step.function(value)
            except (TypeError, ValueError, LookupError) as error:
                raise DamageError(
                    f"a checkpoint does not hold what folds of version {version} made; it was passed over.", reason="upcast"
                ) from error
        return value

    def is_known_at(self, level: int, version: int) -> bool:
        """Whether a release that knows format levels up to `level` has folds, or a way, for checkpoints of this version."""
        return version <= self.of_level.get(level, self.number)
