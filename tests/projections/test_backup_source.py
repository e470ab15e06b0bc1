"""An open cluster as a backup reads it."""

from rap_projections.event_kinds import PEERS, SNAPSHOTS, TRUST
from tests.projections.store_kit import furnished


def test_what_is_read_is_the_state_at_one_lsn_and_no_cache() -> None:
    it = furnished()
    source = it.cluster.backup_source()
    frozen, _floors = source.frozen()
    it.cluster.activate(it.fabric.routes([("node-1", [])]))
    assert frozen.lsn < it.cluster._core.state.lsn
    assert frozen.view(SNAPSHOTS).scope("routes").active.facts.version.version == 1
    assert frozen.view(TRUST) == it.cluster.view().trust or frozen.view(TRUST).chain == it.cluster.view().trust.chain
    assert not frozen[PEERS].directory.number_of


def test_the_floors_are_those_of_state_and_witness() -> None:
    it = furnished()
    floors = it.cluster.known_floors()
    assert floors.bundle[0] == 1 and len(floors.scopes) == 5
    it.kit.kill()
    assert it.cluster.known_floors()[:5] == floors[:5]
