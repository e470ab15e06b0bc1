"""What a backup and a restore ask of an open store: which clusters are sound, who signs, and what the agent remembers of it.

Rules this file keeps:

- A cluster that fails closed is left out and named; it spoils the backup of no other.
- What is being read stays: no cluster drops documents until the backup is written.

Example::

    with ExitStack() as held:
        sources = sound_sources(store.clusters(), held, left_out, private_keys=False)
        take_backup(path, sources, left, backup_maker(folders, agent_state, filesystem), ...)
"""

from collections.abc import Sequence
from contextlib import ExitStack

from rap_journal.filesystem import FileSystem
from rap_projections import agent
from rap_projections.agent_state import AgentState
from rap_projections.backing_up import Maker
from rap_projections.backup_content import LeftCluster
from rap_projections.backup_source import LiveSource
from rap_projections.cluster import ClusterState
from rap_projections.journaled_state import Decide
from rap_projections.known_floors import KnownFloors
from rap_projections.operations import Operation
from rap_projections.store_folders import StoreFolders


def sound_sources(
    clusters: Sequence[ClusterState], held: ExitStack, left_out: dict[str, str], *, private_keys: bool
) -> list[LiveSource]:
    """The clusters that a backup can take, each held still by `held`; why another one is not taken is added to `left_out`.

    Raises `NotAllowed` or `NotValidated` where one may not give its private keys.
    """
    sources = []
    for cluster in clusters:
        source = cluster.backup_source()
        if source.fail_closed_reason is not None:
            left_out[cluster.id] = source.fail_closed_reason
            continue
        if private_keys:
            cluster.require(Operation.BACK_UP_KEYS)
        held.enter_context(source.authority)
        sources.append(source)
    return sources


def backup_maker(folders: StoreFolders, agent_state: AgentState, filesystem: FileSystem) -> Maker:
    """Who makes the backups of this store: the key that signs them, and the doors to write by."""
    seed = agent_state.backup_seed(folders.store_id)
    return Maker(folders.store_id, folders.keys, seed, filesystem, folders.clock.now().wall_us, folders.randomness)


def note_restored(agent_state: AgentState, left: Sequence[LeftCluster], backup_sha256: bytes) -> None:
    """Note what a backup says of clusters that were left, and that this store came from it."""
    for name, floors in left:
        agent_state.execute(_remembering(agent_state, name, floors))
    agent_state.diagnostic("restored", text=f"from the backup with SHA-256 {backup_sha256.hex()}")


def _remembering(state: AgentState, name: str, floors: KnownFloors) -> Decide:
    return lambda now: agent.decide_remembered(state.view(), name, floors)
