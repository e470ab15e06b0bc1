"""Verification of a whole store: each journal by itself, its marker, its folders, and whether a writer is there."""

from rap_journal.filesystem import Directory
from rap_journal.journal import Journal
from rap_journal.layout import AGENT, CLUSTERS, LOCK, MARKER, TEMPORARY, lock_holder_text
from rap_journal.markers import Marker, MarkerKind, ProviderKind, write_marker
from rap_journal.testing import MemoryFileSystem
from rap_journal.values import ClassSpec, Durability
from rap_journal.verify import JournalShape, Shapes, verify_store
from rap_journal.verify_report import VerifyReport
from tests.journal.sound_journal import KEYS, SHAPE, Files, append_some
from tests.journal.watched_directory import WatchedDirectory
from tests.journal.workbench import PATH, PEERS, SPECS, STORE_ID, FixedProvider, Ledger, Opened, plant, record_of, setup_of, tree

AGENT_SPECS = (ClassSpec(10, "agent", Durability.SYNC),)
SHAPES = Shapes(SHAPE, JournalShape(AGENT_SPECS, ("agent", "quarantine")))


def make_journal(folder: Directory, kind: MarkerKind, cluster: str, journal_id: bytes) -> None:
    specs, key_folders = (AGENT_SPECS, SHAPES.agent.key_folders) if kind is MarkerKind.AGENT else (SPECS, SHAPE.key_folders)
    setup = setup_of(specs=specs, key_folders=key_folders)
    marker = Marker(kind, ProviderKind.MEMORY, journal_id, STORE_ID, cluster)
    Journal.create(folder, marker, setup, {spec.number: [] for spec in specs}, [0], 0)


def sound_store() -> dict[str, bytes | None]:
    """A store with the agent's journal, two clusters, and a lock file that nobody holds."""
    filesystem = MemoryFileSystem()
    root = filesystem.open_root(PATH, create=True)
    with root.create_directory(TEMPORARY) as temporary:
        write_marker(root, temporary, Marker(MarkerKind.STORE, ProviderKind.MEMORY, STORE_ID, STORE_ID))
    make_journal(root.create_directory(AGENT), MarkerKind.AGENT, "", b"the agent's own!")
    clusters = root.create_directory(CLUSTERS)
    for name in ("eu-1", "us-1"):
        make_journal(clusters.create_directory(name), MarkerKind.CLUSTER, name, f"journal of {name:5}".encode())
        opened = open_cluster(filesystem, name)
        append_some(opened, 0, 6)
        opened.journal.close()
    root.lock(LOCK, "pid 1 boot 2").release()
    return tree(filesystem)


def open_cluster(filesystem: MemoryFileSystem, name: str) -> Opened:
    ledger = Ledger()
    folder = filesystem.open_root(PATH).directory(CLUSTERS).directory(name)
    return Opened(Journal.open(folder, setup_of(), ledger), ledger)


def verify(files: Files, *, keys: FixedProvider | None = None) -> VerifyReport:
    return verify_store(plant(files).open_root(PATH), SHAPES, keys=keys)


def reasons(report: VerifyReport) -> list[tuple[str, str]]:
    return [(finding.file, finding.reason) for finding in report.findings]


def moved(files: Files, old: str, new: str) -> dict[str, bytes | None]:
    """The files with a folder renamed."""
    return {
        new + name.removeprefix(old) if name == old or name.startswith(f"{old}/") else name: data for name, data in files.items()
    }


def test_a_sound_store_has_no_findings_and_a_summary_per_journal() -> None:
    report = verify(sound_store(), keys=KEYS)
    assert report.findings == ()
    assert [(journal.folder, journal.cluster) for journal in report.journals] == [
        ("agent", ""),
        ("clusters/eu-1", "eu-1"),
        ("clusters/us-1", "us-1"),
    ]
    assert (report.exit_code, report.is_live) == (0, False)


def test_damage_to_one_cluster_hides_nothing_of_the_others() -> None:
    files = sound_store()
    files["clusters/eu-1/MARKER"] = b"rot"
    files["clusters/us-1/peers/checkpoint-0000000000000000"] = b"rot"
    files["agent/WITNESS"] = bytes(8192)
    report = verify(files)
    assert ("clusters/us-1/peers/checkpoint-0000000000000000", "too_short") in reasons(report)
    assert ("agent/WITNESS", "bad_slot") in reasons(report)
    assert ("clusters/eu-1/MARKER", "no_marker") in reasons(report)
    assert len(report.journals) == 3
    assert report.exit_code == 8


def test_a_cluster_without_a_marker_is_still_judged_by_the_id_in_its_keys() -> None:
    files = sound_store()
    del files["clusters/eu-1/MARKER"]
    report = verify(files)
    assert reasons(report) == [("clusters/eu-1/MARKER", "missing")]
    assert report.journals[1].frame_count > 0


def test_what_a_join_or_a_leave_left_half_done_is_harmless() -> None:
    files = moved(sound_store(), "clusters/us-1", "clusters/.join-us-1")
    files["clusters/.join-us-1/WITNESS"] = b"half written"
    report = verify(files)
    assert reasons(report) == [("clusters/.join-us-1", "unfinished_join")]
    assert (report.exit_code, len(report.journals)) == (0, 2)


def test_a_folder_of_the_agent_that_was_put_aside_is_known_and_not_looked_into() -> None:
    files = {**sound_store(), ".agent-next": None, "agent-damaged": None, "agent-damaged/MARKER": b"damaged"}
    report = verify(files)
    assert reasons(report) == [(".agent-next", "leftover"), ("agent-damaged", "set_aside")]
    assert (report.exit_code, report.is_sound) == (0, True)
    assert [journal.folder for journal in report.journals] == ["agent", "clusters/eu-1", "clusters/us-1"]


def test_strangers_in_the_root_and_among_the_clusters_are_reported() -> None:
    files = {**sound_store(), "core": b"dump", "clusters/EU_1": None, "clusters/notes.txt": b"text"}
    report = verify(files)
    assert reasons(report) == [("clusters/EU_1", "unexpected"), ("clusters/notes.txt", "unexpected"), ("core", "unexpected")]
    assert report.exit_code == 7


def test_a_file_with_the_name_of_a_cluster_is_not_one() -> None:
    report = verify({**sound_store(), "clusters/eu-2": b"text"})
    assert reasons(report) == [("clusters/eu-2", "kind")]
    assert report.exit_code == 11


def test_swapped_and_renamed_clusters_are_misplaced() -> None:
    swapped = moved(
        moved(moved(sound_store(), "clusters/eu-1", "spot"), "clusters/us-1", "clusters/eu-1"), "spot", "clusters/us-1"
    )
    assert reasons(verify(swapped)) == [("clusters/eu-1/MARKER", "misplaced"), ("clusters/us-1/MARKER", "misplaced")]
    renamed = verify(moved(sound_store(), "clusters/eu-1", "clusters/eu-9"))
    assert (reasons(renamed), renamed.exit_code) == ([("clusters/eu-9/MARKER", "misplaced")], 8)


def test_a_cluster_of_another_store_is_named() -> None:
    other = {name: None if data is None else data for name, data in sound_store().items()}
    filesystem = MemoryFileSystem()
    root = filesystem.open_root(PATH, create=True)
    with root.create_directory(TEMPORARY) as temporary:
        write_marker(root, temporary, Marker(MarkerKind.STORE, ProviderKind.MEMORY, b"another store!!!", b"another store!!!"))
    other[MARKER] = tree(filesystem)[MARKER]
    assert reasons(verify(other)) == [
        ("agent/MARKER", "other_store"),
        ("clusters/eu-1/MARKER", "other_store"),
        ("clusters/us-1/MARKER", "other_store"),
    ]


def test_missing_folders_are_damage() -> None:
    for name, exit_code in ((AGENT, 8), (CLUSTERS, 8)):
        files = {path: data for path, data in sound_store().items() if path != name and not path.startswith(f"{name}/")}
        report = verify(files)
        assert (reasons(report), report.exit_code) == ([(name, "missing")], exit_code)


def test_an_unreadable_store_marker_hides_no_journal() -> None:
    files = {**sound_store(), MARKER: bytes(1024)}
    report = verify(files)
    assert reasons(report) == [(MARKER, "bad_block"), (MARKER, "no_marker"), (MARKER, "bad_block")]
    assert len(report.journals) == 3


def test_the_lock_tells_whether_a_writer_is_there() -> None:
    filesystem = plant(sound_store())
    root = filesystem.open_root(PATH)
    lock = root.lock(LOCK, "pid 3 boot 4")
    report = verify_store(root, SHAPES)
    assert (report.is_live, report.findings) == (True, ())
    lock.release()
    assert not verify_store(root, SHAPES).is_live


def test_a_writer_that_comes_meanwhile_raises_no_alarm() -> None:
    filesystem = plant(sound_store())
    plain_root = filesystem.open_root(PATH)
    steps = iter(range(100_000))
    opened: list[Opened] = []

    def step() -> None:
        at = next(steps)
        if at == 100:
            plain_root.lock(LOCK, "pid 5 boot 6")
            opened.append(open_cluster(filesystem, "eu-1"))
        elif at > 100 and at % 3 == 0:
            record = record_of(PEERS, [at, "busy"])
            opened[0].journal.wait(opened[0].journal.submit([record], strict=False, privileged=False))

    report = verify_store(WatchedDirectory(plain_root, step), SHAPES)  # type: ignore[arg-type]  # it offers what a reader may use
    assert (report.is_live, report.findings) == (True, ())


class Leaving:
    """A writer that removes a cluster's folder from among the others at one step of the reader."""

    def __init__(self, root: Directory, leave_at: int) -> None:
        self._clusters = root.directory(CLUSTERS)
        self._steps_left = leave_at

    def step(self) -> None:
        self._steps_left -= 1
        if not self._steps_left:
            self._clusters.rename("eu-1", ".join-eu-1")


def test_a_cluster_that_leaves_meanwhile_raises_no_alarm() -> None:
    files = sound_store()
    for leave_at in range(1, 400, 7):
        root = plant(files).open_root(PATH)
        root.lock(LOCK, "pid 7 boot 8")
        watched = WatchedDirectory(root, Leaving(root, leave_at).step)
        report = verify_store(watched, SHAPES)  # type: ignore[arg-type]  # it offers what a reader may use
        assert report.exit_code == 0, (leave_at, report.findings)


def test_a_lock_file_is_empty_after_a_clean_close_and_names_the_writer_after_a_kill() -> None:
    files = sound_store()
    assert files[LOCK] == b""
    killed = lock_holder_text(417, bytes(range(16))).encode()
    assert verify(files | {LOCK: killed}).findings == ()
    assert reasons(verify(files | {LOCK: b"\x01"})) == [(LOCK, "bad_lock_text")]
    assert reasons(verify(files | {LOCK: b"q" + killed[1:]})) == [(LOCK, "bad_lock_text")]
    assert verify(files | {LOCK: killed + b"x" * 300}).exit_code == 7
