"""Whatever a power cut leaves behind, verification calls it torn or harmless and never damage; nor what a recovery made of it."""

from contextlib import suppress

from rap_journal.testing import (
    EverythingSurvives,
    MemoryFileSystem,
    NothingSurvives,
    RandomSurvival,
    SeededRandomness,
    SimulatedCrash,
    Survival,
)
from rap_journal.verify_report import Severity, VerifyReport
from tests.journal.sound_journal import KEYS, Files, append_some, sound_files, tear_last_frame, verify_files
from tests.journal.test_verify_live import retire
from tests.journal.workbench import HEALTH, IDENTITY, PEERS, Opened, open_journal, plant, segments_in, setup_of, tree

CRASH_EVERY = 3
SEED = 7


def opened_in(filesystem: MemoryFileSystem, seed: int) -> Opened:
    return open_journal(filesystem, setup=setup_of(randomness=SeededRandomness(seed)))


def live_through(filesystem: MemoryFileSystem) -> None:
    """Appends of all kinds, rolls, two checkpoint sets, retired history, a clean close."""
    opened = opened_in(filesystem, 3)
    append_some(opened, 100, 5)
    opened.checkpoint()
    append_some(opened, 105, 4)
    opened.append(PEERS, [1, "z" * 2500])
    opened.checkpoint()
    retire(filesystem)
    append_some(opened, 110, 2)
    opened.journal.close()


def survivals(at: int) -> list[Survival]:
    return [NothingSurvives(), EverythingSurvives(), RandomSurvival(SeededRandomness(f"{SEED}/{at}"))]


def check(report: VerifyReport, case: str) -> None:
    grave = [finding for finding in report.findings if finding.severity > Severity.TORN]
    assert grave == [], case


def test_no_power_cut_is_taken_for_damage() -> None:
    whole = plant(sound_files())
    live_through(whole)
    codes = set()
    for at in range(0, len(whole.operations), CRASH_EVERY):
        for survival in survivals(at):
            filesystem = plant(sound_files())
            filesystem.crash_after(at)
            with suppress(SimulatedCrash):
                live_through(filesystem)
            case = f"seed {SEED}, crash after {at} operations, {type(survival).__name__}"
            left = filesystem.crash(survival)
            report = verify_files(tree(left), keys=KEYS)
            check(report, case)
            codes.add(report.exit_code)
            opened_in(left, 4).journal.close()
            check(verify_files(tree(left), keys=KEYS), f"recovered: {case}")
    assert {0, 6} <= codes


def test_what_a_recovery_gave_up_is_no_news() -> None:
    """Damage at the end is reported until a recovery has given the lost LSNs up and said so; then it is history."""
    filesystem = plant(sound_files())
    opened = opened_in(filesystem, 5)
    opened.append(HEALTH, ["kept"])
    opened.append(IDENTITY, ["witnessed, and lost"])
    torn = tear_last_frame(tree(filesystem))
    assert verify_files(torn).exit_code == 8
    filesystem = plant(torn)
    opened = opened_in(filesystem, 6)
    opened.append(PEERS, ["after"])
    opened.journal.close()
    report = verify_files(tree(filesystem), keys=KEYS)
    assert [(finding.reason, finding.first_lsn, finding.last_lsn) for finding in report.findings] == [("given_up", 52, 52)]
    assert report.exit_code == 0


def retired_files() -> Files:
    """History up to a checkpoint has gone, segments and all."""
    filesystem = plant(sound_files())
    retire(filesystem)
    return tree(filesystem)


def test_retired_history_is_not_missed() -> None:
    files = retired_files()
    assert len(segments_in(files)) < len(segments_in(sound_files()))
    assert verify_files(files, keys=KEYS).findings == ()


def test_a_retired_segment_that_comes_back_is_harmless() -> None:
    files, all_files = retired_files(), sound_files()
    gone = [name for name in segments_in(all_files) if name not in files]
    back = verify_files({**files, gone[0]: all_files[gone[0]]}, keys=KEYS)
    assert {finding.severity for finding in back.findings} <= {Severity.HARMLESS}
    assert verify_files({**files, gone[-1]: all_files[gone[-1]]}, keys=KEYS).exit_code == 0


def test_a_segment_above_the_history_floor_is_missed() -> None:
    filesystem = plant(retired_files())
    opened = opened_in(filesystem, 8)
    append_some(opened, 200, 20)
    opened.journal.close()
    files = tree(filesystem)
    del files[segments_in(files)[0]]
    report = verify_files(files)
    assert "missing_records" in [finding.reason for finding in report.findings]
    assert report.exit_code == 8
