"""Whether what was just read of a cluster may be believed, as far as that can be told without checking every byte.

Rules this file keeps:

- Records that are missing since the checkpoint in use are named, unless an event says that their class was reset because of it.
- The kept bundles are verified again from the pinned bootstrap on, and the active documents under the last of them, as an opening
  of the store would do.
- Time is not judged: an expired document is whole. Everything else is the business of `rap-state verify`.

Example::

    judgement = judge(history, state, frames)
    judgement.fail_closed, judgement.exit_code
"""

from typing import NamedTuple

from rap_journal.errors import StateStoreError
from rap_projections.bundle_verification import verify_bootstrap, verify_bundles
from rap_projections.document_shelf import DocumentShelf
from rap_projections.documents import Scope
from rap_projections.event_kinds import HEALTH, IDENTITY, SNAPSHOTS, TRUST, event_of
from rap_projections.folding import FoldedState
from rap_projections.health import SNAPSHOT_LOST, HealthView
from rap_projections.history import ClusterHistory
from rap_projections.identity import IdentityView
from rap_projections.increments import verify_kept
from rap_projections.lifecycle import ClassReset
from rap_projections.snapshot_loss import lost_scopes
from rap_projections.snapshots import SnapshotsView
from rap_projections.trust import TrustView
from rap_projections.trust_in_force import TrustInForce
from rap_projections.verification import Recipient
from rap_tools.exit_codes import ExitCode, worst
from rap_tools.frame_reading import FrameReader, MissingRecords


class Judgement(NamedTuple):
    """What was found.

    Attributes:
        fail_closed: why the cluster fails closed, or None where it does not.
        unsound_scopes: scopes whose active document cannot be read or does not verify.
        lost_scopes: scopes that have lost their document to damage, and that no other one has taken over yet.
        missing: records that are missing and that nothing accounts for.
    """

    fail_closed: str | None
    unsound_scopes: tuple[str, ...]
    missing: tuple[MissingRecords, ...]
    lost_scopes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """What a command that shows this state exits with."""
        is_closed = self.fail_closed is not None or self.unsound_scopes or self.lost_scopes
        return worst([*(found.exit_code for found in self.missing), ExitCode.FAIL_CLOSED if is_closed else ExitCode.DONE])


def judge(history: ClusterHistory, state: FoldedState, frames: FrameReader) -> Judgement:
    """Judge a cluster at the horizon of `history`, whose state there is `state`."""
    missing = missing_records(history, frames, after_lsn=max(frames.checkpoints(), default=0))
    try:
        trust = _verify_trust(history, state)
    except (StateStoreError, OSError):
        return Judgement("trust_damaged", (), missing)
    strict = [name for found in missing if not found.is_cache_only for name in found.state_classes or (IDENTITY.name, TRUST.name)]
    fatal = next((f"{name}_damaged" for name in (IDENTITY.name, TRUST.name) if name in strict), None)
    health: HealthView = state.view(HEALTH)
    lost = lost_scopes(state.view(SNAPSHOTS)) if SNAPSHOT_LOST in health.degraded else ()
    return Judgement(fatal, _unsound_scopes(history, state, trust), missing, lost)


def missing_records(history: ClusterHistory, frames: FrameReader, *, after_lsn: int) -> tuple[MissingRecords, ...]:
    """Records after `after_lsn` that are missing, but for those a later reset of their class accounts for."""
    found = frames.missing(after_lsn)
    if not found:
        return ()
    events = (event_of(record) for record in history.records(after=after_lsn))
    resets = [event for event in events if isinstance(event, ClassReset)]
    return tuple(
        gap for gap in found if not any(reset.first_lsn <= gap.first_lsn and gap.last_lsn <= reset.last_lsn for reset in resets)
    )


def _verify_trust(history: ClusterHistory, state: FoldedState) -> TrustInForce | None:
    """The trust in force, verified along the kept chain; None before the first bundle. Raises what verification raises."""
    trust: TrustView = state.view(TRUST)
    if trust.bootstrap is None or not trust.chain:
        return None
    shelf = _shelf(history, state)
    chain = [shelf.load(TRUST, kept.stored) for kept in trust.chain]
    verified = verify_bootstrap(chain[0], cluster_id=history.id, expect=trust.bootstrap.fingerprint.hex(), trusted_s=None)
    for data in chain[1:]:
        verified = (verify_bundles([data], verified, trusted_s=0) or (verified,))[-1]
    return TrustInForce.of(verified)


def _unsound_scopes(history: ClusterHistory, state: FoldedState, trust: TrustInForce | None) -> tuple[str, ...]:
    snapshots: SnapshotsView = state.view(SNAPSHOTS)
    identity: IdentityView = state.view(IDENTITY)
    node_id = identity.node_id
    recipient = Recipient(node_id, trust.roles_of(node_id) if trust is not None and node_id else frozenset())
    shelf = _shelf(history, state)
    unsound = []
    for name, scope in sorted(snapshots.scopes.items()):
        held = scope.active
        if held is None or trust is None:
            continue
        try:
            full, *increments = [shelf.load(SNAPSHOTS, part) for part in (held.stored, *held.increments)]
            found = verify_kept(full, increments, trust, recipient=recipient, scope=Scope(name))
        except (StateStoreError, OSError):
            unsound.append(name)
            continue
        if found.content_id != held.facts.content_id:
            unsound.append(name)
    return tuple(unsound)


def _shelf(history: ClusterHistory, state: FoldedState) -> DocumentShelf:
    return DocumentShelf(history, lambda: state.view(SNAPSHOTS))
