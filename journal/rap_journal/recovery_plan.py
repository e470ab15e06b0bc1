"""What the end of a journal means: facts in, verdict out.

Rules this file keeps:

- It is pure, and total: every combination of facts has exactly one verdict (a test goes through all of them).
- Only what nothing vouches for may be called torn. A witness, a checkpoint, a later segment or a later frame each vouch.
- A doubt is named as a doubt: the store never claims to know whether an unvouched last frame was torn or has rotted.

Facts
    remnant   what stands behind the last frame that continues the chain (see `scanner.Remnant`)
    vouched   somebody names an LSN beyond that frame as durable, or a later segment was begun
    torn      what the header of the frame at the end says, if it can be read
    witness   whether the chain has the digests that the witness and the checkpoints name at their LSNs

Table (``-`` stands for any)::

    witness    remnant      vouched  torn        verdict
    differs    -            -        -           DIVERGED
    agrees     later frame  -        -           GAP
    agrees     nothing      no       -           CLEAN
    agrees     nothing      yes      -           TAIL_MISSING
    agrees     short        no       strict      TORN_TAIL
    agrees     short        no       other/none  TORN_OR_ROTTEN
    agrees     short        yes      -           TAIL_DAMAGED
    agrees     long         -        -           TAIL_DAMAGED

DIVERGED
    The journal holds other frames than those the witness saw, or those that a checkpoint was made of. No crash does that: a file was
    replaced or rolled back. Fail closed.
GAP
    Bytes were damaged in the middle; history goes on behind them. What the gap costs is attributed class by class.
CLEAN
    The log ends where the writer stopped. Nothing is cut.
TAIL_MISSING
    Records that were durable are gone, and nothing stands in their place: a shortened or older file, or a disk that lied. Damage.
TORN_TAIL
    A crash during the write of a strict frame: it was never acknowledged, since that takes a witness. It is cut, and nothing is lost.
TORN_OR_ROTTEN
    The last write was torn by a crash, or it was whole and has rotted; nothing tells which. It is cut, kept in quarantine and
    reported, and health reopens at its most cautious reading if the frame may have held health records.
TAIL_DAMAGED
    Bytes that were durable, or that no single write leaves behind, do not verify. Damage: kept in quarantine, never called torn.

Example::

    assert judge_tail(TailFacts(Remnant.NOTHING, False, TornFrame.UNREADABLE, True)) is Verdict.CLEAN
"""

from enum import IntEnum
from typing import NamedTuple

from rap_journal.scanner import Remnant


class TornFrame(IntEnum):
    """What the frame header at the end of the chain says."""

    UNREADABLE = 0
    STRICT = 1
    OTHER = 2


class Verdict(IntEnum):
    """The labels above; the numbers stand in segment headers and recovery events."""

    CLEAN = 0
    TORN_TAIL = 1
    TORN_OR_ROTTEN = 2
    GAP = 3
    TAIL_DAMAGED = 4
    TAIL_MISSING = 5
    DIVERGED = 6


class TailFacts(NamedTuple):
    """Everything the verdict depends on."""

    remnant: Remnant
    vouched: bool
    torn: TornFrame
    witness_agrees: bool


IS_DAMAGE = frozenset({Verdict.GAP, Verdict.TAIL_DAMAGED, Verdict.TAIL_MISSING, Verdict.DIVERGED})
"""Verdicts that are damage, as opposed to an ordinary end or a torn tail."""


def judge_tail(facts: TailFacts) -> Verdict:
    """The one verdict for these facts."""
    if not facts.witness_agrees:
        return Verdict.DIVERGED
    if facts.remnant is Remnant.LATER_FRAME:
        return Verdict.GAP
    if facts.remnant is Remnant.NOTHING:
        return Verdict.TAIL_MISSING if facts.vouched else Verdict.CLEAN
    if facts.remnant is Remnant.LONG or facts.vouched:
        return Verdict.TAIL_DAMAGED
    return Verdict.TORN_TAIL if facts.torn is TornFrame.STRICT else Verdict.TORN_OR_ROTTEN
