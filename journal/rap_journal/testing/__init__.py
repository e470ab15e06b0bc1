"""Stand-ins for the world that the journal runs in: files, clock and randomness that a test controls.

They are shipped for the tests of programs that use the store, too. `MemoryFileSystem` tells how to crash-test one.

Example::

    filesystem, clock, randomness = MemoryFileSystem(), ManualClock(), SeededRandomness(1)
"""

from rap_journal.testing.manual_clock import ManualClock
from rap_journal.testing.memory_filesystem import MemoryFileSystem
from rap_journal.testing.memory_machine import Operation, SimulatedCrash
from rap_journal.testing.seeded_randomness import SeededRandomness
from rap_journal.testing.survival import EverythingSurvives, NothingSurvives, RandomSurvival, Survival

__all__ = [
    "MemoryFileSystem",
    "Operation",
    "SimulatedCrash",
    "Survival",
    "NothingSurvives",
    "EverythingSurvives",
    "RandomSurvival",
    "ManualClock",
    "SeededRandomness",
]
