"""Floors as one value, wherever they are carried: witness, backup, the agent's note of a cluster that was left.

Rules this file keeps:

- The array is the one that the witness keeps (trust, 15), so that floors from any of these places can be compared.
- Of two floors the higher counts, part by part. Of the revocations those that go with the higher bundle do.
- "Not validated" outlasts "normal": who knows that a state is in doubt knows more.

Example::

    floors = higher_floors(read_floors(content.floors), read_floors(witness))
"""

from typing import Any, NamedTuple

from rap_projections.class_state import unpacked

NORMAL = "normal"


class KnownFloors(NamedTuple):
    """What somebody knows of a cluster's floors.

    Attributes:
        bundle: version and content id of the highest bundle.
        revocations: digest of its revocations, and how many there are.
        restore: "normal", or the restore state that was in force.
        scopes: scope, generation, version and content id, by scope; "agent", 0, lowest signed sequence of its releases, and no content id.
        head: generation (0), version and content id of the highest head.
        time: trusted time in seconds since 1970, seconds used up then, and the seconds at which the deadline passes.
    """

    bundle: tuple[int, bytes]
    revocations: tuple[bytes, int]
    restore: str
    scopes: tuple[tuple[str, int, int, bytes], ...]
    head: tuple[int, int, bytes]
    time: tuple[int, int, int]


NOTHING_KNOWN = KnownFloors((0, b""), (b"", 0), NORMAL, (), (0, 0, b""), (0, 0, 0))
"""The floors of a cluster that has accepted nothing."""


def read_floors(value: Any) -> KnownFloors:
    """Floors as the witness or a backup keeps them; None means that nothing is known. Raises `DamageError` for anything else."""
    return NOTHING_KNOWN if value is None else unpacked(KnownFloors, value)


def higher_floors(one: KnownFloors, other: KnownFloors) -> KnownFloors:
    """The higher of both, part by part; where both are level, the first, unless it lacks the content id."""
    newer = other if _is_higher(other.bundle, one.bundle) else one
    scopes: dict[str, tuple[int, int, bytes]] = {
        name: (generation, version, said) for name, generation, version, said in one.scopes
    }
    for name, generation, version, said in other.scopes:
        scopes[name] = _higher((generation, version, said), scopes.get(name, (0, 0, b"")))
    return KnownFloors(
        newer.bundle,
        newer.revocations,
        one.restore if one.restore != NORMAL else other.restore,
        tuple([(name, *floor) for name, floor in sorted(scopes.items())]),
        _higher(other.head, one.head),
        (max(one.time[0], other.time[0]), max(one.time[1], other.time[1]), one.time[2]),
    )


def _is_higher(floor: tuple[int, bytes], than: tuple[int, bytes]) -> bool:
    return floor[0] > than[0] or (floor[0] == than[0] and not than[1])


def _higher(floor: tuple[int, int, bytes], than: tuple[int, int, bytes]) -> tuple[int, int, bytes]:
    """`floor` where it is higher than the other one, or as high and better known."""
    return floor if floor[:2] > than[:2] or (floor[:2] == than[:2] and not than[2]) else than
