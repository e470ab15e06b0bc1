"""What a journal tells of its own past, beside its writer, and what it says it cannot tell."""

import pytest

from rap_journal.errors import CursorDiverged, HistoryGone, MisuseError
from rap_projections.policy import Policy
from tests.projections.store_kit import core_of, flag, ready


def test_everything_durable_is_told_at_once_although_the_witness_is_behind() -> None:
    it = ready()
    core, start = core_of(it), core_of(it).journal.durable_lsn
    lsns = [core.execute("health", lambda now, name=name: flag(name)).lsn for name in ("a", "b", "c")]  # type: ignore[misc]  # bound per round
    assert core.journal.witnessed_lsn < core.journal.durable_lsn
    assert [record.lsn for record in core.history_after(start)] == lsns
    assert [record.lsn for record in core.history_after(lsns[1] or 0)] == lsns[2:]


def test_what_waits_for_its_frame_is_not_told_yet() -> None:
    it = ready()
    core, start = core_of(it), core_of(it).journal.durable_lsn
    it.cluster.telemetry.record("relay", "waits")
    assert list(core.history_after(start)) == []
    core.flush()
    assert [record.lsn for record in core.history_after(start)] == [start + 1]


def test_a_place_beyond_the_end_and_one_that_is_not_kept_are_told_apart() -> None:
    it = ready(policy=Policy(history_all_h=0, segment_bytes_max=4096))
    core = core_of(it)
    for number in range(120):
        core.execute("health", lambda now, number=number: flag(f"flag-{number % 9}", on=number // 9 % 2 == 0))  # type: ignore[misc]  # bound per round
        if number % 30 == 29:
            it.cluster.checkpoint()
    core.flush()
    floor, last = it.cluster.view().health.history.floor_lsn, core.journal.durable_lsn
    assert floor > 0
    for call in (core.require_history, lambda lsn: next(core.history_after(lsn))):
        with pytest.raises(CursorDiverged) as diverged:
            call(last + 1)
        with pytest.raises(HistoryGone) as gone:
            call(floor - 1)
        assert (diverged.value.lsn, gone.value.lsn, gone.value.oldest_lsn) == (last + 1, floor - 1, floor + 1)
        with pytest.raises(MisuseError, match="an LSN is 0 or more, and -1 is none"):
            call(-1)
    core.require_history(floor)
    core.require_history(last)
    assert next(core.history_after(floor)).lsn == floor + 1
