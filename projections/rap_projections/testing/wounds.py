"""Stores to hurt: a closed list of wounds, and what the store is expected to make of each.

Rules this file keeps:

- A wound is done to a store that nobody has open, in whatever file system it lies; it needs no key, and the same store and the same
  wound give the same bytes.
- What a wound is expected to come to is stated for a cluster that holds records and, as a store that ran for a while does, two checkpoint
  sets: `furnish` makes one. A test holds every statement of `WOUNDS` against such a store on a disk.
- A wound concerns one cluster; what is expected of every other one is that it notices nothing.

Example::

    store.close()
    expected = wound(root, "trust-flip")
    store = NodeStore.open(root, keys=keys)
    assert store.cluster("eu-west-1").status()["fail_closed"] == expected.reason
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from pathlib import PurePath
from types import MappingProxyType
from typing import NamedTuple

from rap_journal.errors import MisuseError, NoSuchStore
from rap_journal.filesystem import Directory, FileSystem, read_whole
from rap_journal.format import WITNESS_SLOT_BYTES
from rap_journal.layout import (
    AGENT,
    CLUSTERS,
    JOURNAL,
    KEY_FOLDERS,
    LOCK,
    MARKER,
    WITNESS,
    checkpoint_name,
    parse_checkpoint_name,
    parse_document_name,
    parse_keys_name,
    segment_name,
)
from rap_journal.limits import SEGMENT_BYTES_MAX
from rap_journal.os_filesystem import OsFileSystem
from rap_journal.testing import wounding
from rap_journal.trees import remove_tree
from rap_journal.values import ClassSpec, SegmentNumber
from rap_journal.witness import Slot, read_witness
from rap_projections.event_kinds import CLUSTER_CLASSES, HEALTH, IDENTITY, PEERS, ROUTES, SNAPSHOTS, TRUST

_NOT_STRICT = ("health", "peers", "routes", "services", "telemetry")


class Outcome(str, Enum):
    """What a wounded cluster is when its store is opened."""

    UNHARMED = "unharmed"
    """As it was: what was damaged had a second copy, or held nothing that was acknowledged."""
    RESET = "reset"
    """Open and in use; the classes named have lost something and begin anew."""
    NOT_VALIDATED = "not-validated"
    """Open for reading; high-risk work is barred until the control plane's ticket was verified."""
    FAIL_CLOSED = "fail-closed"
    """Open for diagnostics; whatever needs trust raises `FailClosed`."""
    UNOPENED = "unopened"
    """Not open; `store.unopened` says why, and it can be left."""


class Wound(NamedTuple):
    """One wound, and what comes of it.

    Attributes:
        name: what `wound` calls it.
        expectation: what was done, and what is expected of the store, in sentences.
        verify_exit_code: what `rap-state verify` exits with before the store is opened, where it has the key.
        verify_sealed_exit_code: the same without the key: another one where only sealed records name what is missing.
        outcome: what the cluster is when the store is opened.
        verdict: what the cluster's recovery calls it, in its findings; None where it finds nothing, or the cluster is not opened.
        reason: `fail_closed` of the status, or the reason of the error in `unopened`; None where neither is.
        resets: names of the classes that begin anew, sorted.
    """

    name: str
    expectation: str
    verify_exit_code: int
    verify_sealed_exit_code: int
    outcome: Outcome
    verdict: str | None
    reason: str | None
    resets: tuple[str, ...]


class _Place(NamedTuple):
    """Where a wound is done: the store's root, and the folder of the cluster."""

    root: Directory
    home: Directory
    cluster: str


_Hurt = Callable[[_Place], None]
_HURTS: dict[str, _Hurt] = {}
_EXPECTED: dict[str, Wound] = {}

WOUNDS: Mapping[str, Wound] = MappingProxyType(_EXPECTED)
"""Every wound by name; a closed list."""


def wound(root: str | PurePath, name: str, *, cluster: str | None = None, filesystem: FileSystem | None = None) -> Wound:
    """Hurt the closed store in `root`, and say what is to be expected of it.

    Args:
        root: the store's folder.
        name: a name of `WOUNDS`.
        cluster: id of the cluster to hurt; may be left out where the store has one only.
        filesystem: where `root` is; the machine's own where none is given.

    Raises `MisuseError` for an unknown wound or cluster, or where the store has not got what is to be hurt; `NoSuchStore`; `StoreBusy`
    while somebody has the store open. In all of these cases nothing was changed.
    """
    if name not in WOUNDS:
        raise MisuseError(f"{name!r:.40} is no wound; nothing was done. Wounds are {', '.join(WOUNDS)}.", reason="unknown_wound")
    with _open_store(filesystem or OsFileSystem(), str(root)) as opened:
        lock = opened.lock(LOCK, "a wound is being done")
        try:
            with opened.directory(CLUSTERS) as clusters:
                chosen = _choose(clusters, cluster)
                with clusters.directory(chosen) as home:
                    _HURTS[name](_Place(opened, home, chosen))
        finally:
            lock.release()
    return WOUNDS[name]


def _wound(
    name: str,
    *,
    verify: int,
    sealed: int | None = None,
    outcome: Outcome,
    verdict: str | None = None,
    reason: str | None = None,
    resets: tuple[str, ...] = (),
) -> Callable[[_Hurt], _Hurt]:
    """Enter the function below, whose docstring is the expectation, into the list."""

    def enter(hurt: _Hurt) -> _Hurt:
        expectation = " ".join((hurt.__doc__ or "").split())
        _HURTS[name] = hurt
        _EXPECTED[name] = Wound(name, expectation, verify, verify if sealed is None else sealed, outcome, verdict, reason, resets)
        return hurt

    return enter


@_wound("torn-tail", verify=6, outcome=Outcome.UNHARMED, verdict="torn_tail")
def _torn_tail(place: _Place) -> None:
    """Half of a strict frame stands behind the last one: the power went while something was being activated. It was never acknowledged:
    it is cut and reported, and nothing is lost."""
    wounding.tear_tail(place.home, class_mask=_mask(SNAPSHOTS), strict=True)


@_wound("torn-or-rotten", verify=6, outcome=Outcome.RESET, verdict="torn_or_rotten", resets=("health",))
def _torn_or_rotten(place: _Place) -> None:
    """Half of a frame of the health class stands behind the last one: torn, or whole once and rotten, nothing tells which. It is cut,
    and health takes its most cautious reading: degraded."""
    wounding.tear_tail(place.home, class_mask=_mask(HEALTH), strict=False)


@_wound("rotten-frame", verify=7, outcome=Outcome.RESET, verdict="gap", resets=("peers",))
def _rotten_frame(place: _Place) -> None:
    """One bit of the newest frame of observations is wrong, and frames follow it: damage in the middle, never taken for a torn tail.
    The peers class begins anew from the signed directory, and no other class loses anything."""
    _flip_newest_frame(place, PEERS)


@_wound("rotten-strict-frame", verify=8, outcome=Outcome.FAIL_CLOSED, verdict="gap", reason="trust_damaged")
def _rotten_strict_frame(place: _Place) -> None:
    """One bit of the newest frame with a trust record is wrong, and the witness vouches for it: the cluster fails closed."""
    _flip_newest_frame(place, TRUST)


@_wound("identity-flip", verify=8, outcome=Outcome.FAIL_CLOSED, verdict="gap", reason="identity_damaged")
def _identity_flip(place: _Place) -> None:
    """One bit of every checkpoint of the identity class is wrong: the cluster fails closed, and the node's key is not asked for anew
    behind anybody's back."""
    _flip_checkpoints(place, IDENTITY)


@_wound("trust-flip", verify=8, outcome=Outcome.FAIL_CLOSED, verdict="gap", reason="trust_damaged")
def _trust_flip(place: _Place) -> None:
    """One bit of every checkpoint of the trust class is wrong: the cluster fails closed."""
    _flip_checkpoints(place, TRUST)


@_wound("snapshot-flip", verify=8, outcome=Outcome.RESET, verdict="gap", resets=("snapshots",))
def _snapshot_flip(place: _Place) -> None:
    """One bit of every checkpoint of the snapshots class is wrong, and one of the newest frame that it would be folded again from: no
    document is active any more, the cluster is degraded, high-risk work is barred, and documents can be activated anew; the floors, which
    the witness knows, hold."""
    _flip_checkpoints(place, SNAPSHOTS)
    _flip_newest_frame(place, SNAPSHOTS)


@_wound("cache-flip", verify=7, outcome=Outcome.RESET, verdict="gap", resets=("routes",))
def _cache_flip(place: _Place) -> None:
    """One bit of every checkpoint of the routes class is wrong, and one of its newest frame: a cache, so it is dropped, and routes are
    chosen anew."""
    _flip_checkpoints(place, ROUTES)
    _flip_newest_frame(place, ROUTES)


@_wound("document-flip", verify=8, outcome=Outcome.UNHARMED, verdict="gap")
def _document_flip(place: _Place) -> None:
    """One bit of every kept document is wrong: each is written again from the copy that its event carries."""
    with place.home.directory(SNAPSHOTS.name) as folder:
        names = [name for name in folder.names() if parse_document_name(name) is not None]
        _require(names, "document", place)
        for name in names:
            wounding.flip_bit(folder, name)


@_wound("key-flip", verify=8, outcome=Outcome.UNHARMED, verdict="gap")
def _key_flip(place: _Place) -> None:
    """One bit of one of the two copies of the wrapped data key is wrong: the other copy serves."""
    with place.home.directory(KEY_FOLDERS[0]) as folder:
        for name in folder.names():
            if parse_keys_name(name) is not None:
                wounding.flip_bit(folder, name)


@_wound("witness-flip", verify=8, outcome=Outcome.NOT_VALIDATED, verdict="gap")
def _witness_flip(place: _Place) -> None:
    """One bit of the older slot of the witness is wrong. No crash explains that, since one tears the slot that is being written: floors
    may be lost, so the state counts as restored and high-risk work waits for the control plane's ticket."""
    newest = _newest_slot(place)
    wounding.flip_bit(place.home, WITNESS, (newest.sequence + 1 & 1) * WITNESS_SLOT_BYTES + 100)


@_wound("witness-torn", verify=6, outcome=Outcome.UNHARMED)
def _witness_torn(place: _Place) -> None:
    """The newer slot of the witness is half written, and zeros that were prepared stand behind the last frame, as when the power goes
    while the witness is written: the older slot serves, and nothing is lost."""
    newest = _newest_slot(place)
    middle = (newest.sequence & 1) * WITNESS_SLOT_BYTES + WITNESS_SLOT_BYTES // 2
    wounding.overwrite(place.home, WITNESS, middle, b"\x55" * (WITNESS_SLOT_BYTES // 2))
    file = wounding.segments_of(place.home)[-1]
    with place.home.directory(JOURNAL) as folder:
        wounding.cut(folder, file.name, file.size + WITNESS_SLOT_BYTES)


@_wound("witness-lost", verify=8, outcome=Outcome.UNOPENED, reason="no_witness")
def _witness_lost(place: _Place) -> None:
    """Both slots of the witness are zeros: nothing tells any more what was durable, and the cluster is not opened."""
    wounding.overwrite(place.home, WITNESS, 0, bytes(2 * WITNESS_SLOT_BYTES))


@_wound("marker-flip", verify=8, outcome=Outcome.UNHARMED, verdict="gap")
def _marker_flip(place: _Place) -> None:
    """One bit of one of the marker's two blocks is wrong: the other block serves."""
    wounding.flip_bit(place.home, MARKER)


@_wound("marker-lost", verify=8, outcome=Outcome.UNOPENED, reason="missing_file")
def _marker_lost(place: _Place) -> None:
    """The marker is gone: nothing tells whose folder this is, and the cluster is not opened."""
    wounding.remove(place.home, MARKER)


@_wound("shortened-journal", verify=8, outcome=Outcome.RESET, verdict="tail_missing", resets=_NOT_STRICT)
def _shortened_journal(place: _Place) -> None:
    """The journal ends before its last frame, on a border of frames, as an older copy of the file does; the witness knows that records
    are missing, and that no strict one is among them. Every other class begins anew, health at its most cautious reading."""
    frames = wounding.frames_of(place.home)
    _require(frames, "frame", place)
    with place.home.directory(JOURNAL) as folder:
        wounding.cut(folder, frames[-1].segment, frames[-1].offset)


@_wound("missing-segment", verify=8, outcome=Outcome.FAIL_CLOSED, verdict="tail_missing", reason="trust_damaged")
def _missing_segment(place: _Place) -> None:
    """The newest segment is gone, and the witness knows of its records, one of the trust class among them: the cluster fails closed."""
    with place.home.directory(JOURNAL) as folder:
        wounding.remove(folder, wounding.segments_of(place.home)[-1].name)


@_wound("rolled-back", verify=8, outcome=Outcome.NOT_VALIDATED, verdict="gap")
def _rolled_back(place: _Place) -> None:
    """Segments and checkpoints are those of an earlier moment, which the older slot of the witness names, and the newer slot is zeros: the
    state of that moment is served for reading, and high-risk work waits for the control plane's ticket."""
    slots = read_witness(place.home).slots
    _require(slots[1:], "older slot of the witness", place)
    newer, older = slots
    wounding.overwrite(place.home, WITNESS, (newer.sequence & 1) * WITNESS_SLOT_BYTES, bytes(WITNESS_SLOT_BYTES))
    for folder_name in (spec.name for spec in CLUSTER_CLASSES):
        with place.home.directory(folder_name) as folder:
            for lsn in _checkpoints(folder):
                if lsn > older.point.lsn:
                    wounding.remove(folder, checkpoint_name(lsn))
    with place.home.directory(JOURNAL) as folder:
        for segment in wounding.segments_of(place.home):
            if segment.header.number == older.point.segment:
                wounding.cut(folder, segment.name, older.point.offset)
            elif segment.header.number > older.point.segment:
                wounding.remove(folder, segment.name)


@_wound("foreign-segment", verify=7, outcome=Outcome.UNHARMED)
def _foreign_segment(place: _Place) -> None:
    """A segment of another journal, the agent's own, lies among the cluster's under a newer number: it is named and left alone."""
    newest = wounding.segments_of(place.home)[-1].header
    with place.root.directory(AGENT) as agent, agent.directory(JOURNAL) as theirs, place.home.directory(JOURNAL) as folder:
        (*_older, segment) = wounding.segments_of(agent)
        data = read_whole(theirs, segment.name, SEGMENT_BYTES_MAX)
        wounding.put(folder, segment_name(SegmentNumber(newest.number + 1), newest.epoch), data)


@_wound("stale-checkpoint", verify=8, outcome=Outcome.UNHARMED, verdict="gap")
def _stale_checkpoint(place: _Place) -> None:
    """The oldest checkpoint of the trust class lies under the name of the newest: it is not what its name says, and the class is folded
    again from the oldest one."""
    with place.home.directory(TRUST.name) as folder:
        lsns = _checkpoints(folder)
        _require(lsns[1:], "second checkpoint", place)
        oldest = read_whole(folder, checkpoint_name(lsns[0]), SEGMENT_BYTES_MAX)
        wounding.put(folder, checkpoint_name(lsns[-1]), oldest)


@_wound("missing-class-folder", verify=8, outcome=Outcome.FAIL_CLOSED, verdict="gap", reason="trust_damaged")
def _missing_class_folder(place: _Place) -> None:
    """The folder of the trust class is gone: that is damage and never a fresh install, and the cluster fails closed."""
    remove_tree(place.home, TRUST.name)


@_wound("missing-cluster", verify=8, sealed=0, outcome=Outcome.UNOPENED, reason="missing_cluster")
def _missing_cluster(place: _Place) -> None:
    """The folder of the cluster is gone, and the agent's journal knows that it was joined: it is reported, and blocks no other."""
    with place.root.directory(CLUSTERS) as clusters:
        remove_tree(clusters, place.cluster)


@_wound("missing-checkpoints", verify=8, outcome=Outcome.UNHARMED, verdict="gap")
def _missing_checkpoints(place: _Place) -> None:
    """Every checkpoint of the snapshots class is gone: it is folded again from its first record on, and nothing is lost."""
    with place.home.directory(SNAPSHOTS.name) as folder:
        for lsn in _checkpoints(folder):
            wounding.remove(folder, checkpoint_name(lsn))


@_wound("agent-flip", verify=8, outcome=Outcome.UNHARMED)
def _agent_flip(place: _Place) -> None:
    """One bit of every checkpoint of the agent's own journal is wrong: it is begun anew, and no cluster notices."""
    with place.root.directory(AGENT) as home, home.directory(AGENT) as folder:
        for lsn in _checkpoints(folder):
            wounding.flip_bit(folder, checkpoint_name(lsn))


def _open_store(filesystem: FileSystem, path: str) -> Directory:
    with suppress(FileNotFoundError):
        root = filesystem.open_root(path)
        if root.status(MARKER) is not None:
            return root
        root.close()
    raise NoSuchStore(f"there is no store in {path}; nothing was done. Check the path.", file=path, reason="no_store")


def _choose(clusters: Directory, cluster: str | None) -> str:
    names = [name for name in clusters.names() if not name.startswith(".")]
    chosen = names[0] if cluster is None and len(names) == 1 else cluster
    if chosen not in names:
        raise MisuseError(
            f"which cluster is to be hurt? Here are {', '.join(names) or 'none'}; nothing was done.", reason="which_cluster"
        )
    return chosen


def _mask(spec: ClassSpec) -> int:
    return 1 << spec.number


def _checkpoints(folder: Directory) -> list[int]:
    return sorted(lsn for name in folder.names() if (lsn := parse_checkpoint_name(name)) is not None)


def _flip_checkpoints(place: _Place, spec: ClassSpec) -> None:
    with place.home.directory(spec.name) as folder:
        for lsn in _checkpoints(folder):
            wounding.flip_bit(folder, checkpoint_name(lsn))


def _flip_newest_frame(place: _Place, spec: ClassSpec) -> None:
    frames = wounding.frames_of(place.home)
    found = [frame for frame in frames[:-1] if frame.class_mask & _mask(spec)]
    _require(found, f"frame of the {spec.name} class before the last frame", place)
    with place.home.directory(JOURNAL) as folder:
        wounding.flip_bit(folder, found[-1].segment, found[-1].end - 1)


def _newest_slot(place: _Place) -> Slot:
    newest = read_witness(place.home).newest
    _require(newest, "witness", place)
    assert newest is not None
    return newest


def _require(found: object, what: str, place: _Place) -> None:
    if not found:
        raise MisuseError(
            f"cluster {place.cluster} has no {what} to hurt; nothing was done.", cluster=place.cluster, reason="nothing_to_hurt"
        )
