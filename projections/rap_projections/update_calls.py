"""The calls about updates: a signed reference waits, its bytes are hashed, and only then it may become what runs.

Rules this file keeps:

- What waits came from a reference that verifies; what is activated was hashed and is what the reference names (spec 4).
- Activating is high-risk work and asks the one gate; rolling back is not, since it leads away from what was just installed.
- What is refused is recorded, bounded, and changes nothing else.

Where the bytes lie between hashing and installing is the caller's business: whoever may write there may swap them.

Example::

    cluster.updates.stage(document)
    cluster.updates.verify_artifact("agent", path.open("rb"))
    cluster.updates.activate("agent")
"""

import hashlib
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO, Unpack

from rap_journal.errors import NoSpace
from rap_projections import update_decisions as decisions
from rap_projections.arguments import require
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import UPDATES, Event
from rap_projections.journaled_state import Decide
from rap_projections.node_time import Now
from rap_projections.operations import Operation
from rap_projections.receipts import Context, Receipt, check_word
from rap_projections.refusals import NotAllowed, NotValidated, RefusedError
from rap_projections.updates import SubjectView, UpdatesView
from rap_projections.verification import verify_artifact
from rap_projections.verified import VerifiedArtifact

CHUNK_BYTES = 1 << 20
"""An artifact is hashed in pieces of this size."""

UNKNOWN_SUBJECT = "unknown"
"""Under which refusals stand of documents that do not say what they are for."""


class Updates:
    """What `cluster.updates` is."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context

    def subject(self, subject: str) -> SubjectView:
        """What runs, waits, is offered and may be rolled back to for "agent" or a workload."""
        require("subject", subject, str)
        return self._view().subject(subject)

    def stage(self, reference: bytes, *, source: str = "agent", **context: Unpack[Context]) -> Receipt:
        """Let the release wait that a signed reference names. What runs or waits already is ``changed=False``.

        Raises a `RefusedError`, which is recorded; `FailClosed`, `StorageError`.
        """
        check_word("source", source)
        require("reference", reference, bytes)
        self._context.core.origin(context)
        subject = UNKNOWN_SUBJECT
        try:
            verified = self._verify(reference)
            subject = verified.artifact.reference.subject

            def decide(now: Now) -> tuple[Event, ...]:
                return decisions.decide_stage(self._view(), verified.artifact.reference, content_id=verified.content_id)

            return self._context.execute("updates", decide, context)
        except RefusedError as refusal:
            self._record(refusal, subject, source, hashlib.sha256(reference).digest(), context)
            raise

    def verify_artifact(self, subject: str, artifact: BinaryIO | bytes, **context: Unpack[Context]) -> Receipt:
        """Hash the artifact's bytes, from where the file stands on, and compare them with the pending reference.

        Raises `WrongArtifact`, which is recorded; `MisuseError` where nothing waits; what reading and writing raise.
        """
        cluster = self._context
        cluster.require_open()
        cluster.core.origin(context)
        if not hasattr(artifact, "read"):
            require("artifact", artifact, bytes)
        pending = self.subject(subject).pending
        size_max = pending.reference.size if pending is not None else 0
        sha256, size = _digest(BytesIO(artifact) if isinstance(artifact, bytes) else artifact, size_max)
        try:
            return cluster.execute(
                "updates",
                lambda now: decisions.decide_artifact_verified(self._view(), subject, sha256=sha256, size=size),
                context,
            )
        except RefusedError as refusal:
            self._record(refusal, subject, "artifact", sha256, context)
            raise

    def activate(self, subject: str, **context: Unpack[Context]) -> Receipt:
        """Make the pending release the current one, the one before it the rollback candidate.

        Raises `NotAllowed` where its bytes were not verified or the gate is closed, `NotValidated` after a restore, `Rollback` where the
        signed minimum rose above it, `MisuseError` where nothing waits; `FailClosed`, `StorageError`.
        """
        cluster = self._context
        cluster.require_open()
        cluster.core.origin(context)
        require("subject", subject, str)
        cluster.ask(Operation.ACTIVATE_UPDATE)

        def decide(now: Now) -> tuple[Event, ...]:
            events = decisions.decide_activate(self._view(), subject)
            gate = cluster.allowed(Operation.ACTIVATE_UPDATE, now)
            if events and not gate.ok:
                raise _closed(gate.reason)
            return events

        return cluster.execute("updates", decide, context)

    def confirm(self, subject: str, **context: Unpack[Context]) -> Receipt:
        """The current release proved itself. Raises `MisuseError` where none is known."""
        require("subject", subject, str)
        return self._execute(lambda now: decisions.decide_confirm(self._view(), subject), context)

    def roll_back(self, subject: str, *, reason: str, **context: Unpack[Context]) -> Receipt:
        """Make the rollback candidate the current release again. Raises `NotAllowed` without one, `MisuseError` for a bad reason."""
        require("subject", subject, str)
        check_word("reason", reason)
        return self._execute(lambda now: decisions.decide_roll_back(self._view(), subject, reason=reason), context)

    def _execute(self, decide: Decide, context: Context) -> Receipt:
        self._context.require_open()
        return self._context.execute("updates", decide, context)

    def _verify(self, reference: bytes) -> VerifiedArtifact:
        cluster = self._context
        return verify_artifact(
            reference, cluster.require_trust(), trusted_s=cluster.core.now().trusted_s, recipient=cluster.recipient()
        )

    def _record(self, refusal: RefusedError, subject: str, source: str, digest: bytes, context: Context) -> None:
        reason = refusal.reason or refusal.rule

        def decide(now: Now, times: int) -> tuple[Event, ...]:
            return decisions.decide_refused(
                self._view(), source=source, subject=subject, reason=reason, times=times, digest=digest, now=now,
                policy=self._context.policy,
            )  # fmt: skip

        with suppress(NoSpace):
            self._context.coalesce("updates/refused", ("updates", source, subject, reason), decide, context)

    def _view(self) -> UpdatesView:
        view: UpdatesView = self._context.state.view(UPDATES)
        return view


def _digest(file: BinaryIO, size_max: int) -> tuple[bytes, int]:
    """SHA-256 and length of what `file` holds; of a file that is longer than `size_max`, of one byte more than that at most."""
    digest, size = hashlib.sha256(), 0
    while size <= size_max and (chunk := file.read(min(CHUNK_BYTES, size_max + 1 - size))):
        digest.update(chunk)
        size += len(chunk)
    return digest.digest(), size


def _closed(reason: str) -> NotAllowed | NotValidated:
    if reason == "not_validated":
        return NotValidated("updates are not activated until the restore is validated.", state_class="updates", reason=reason)
    return NotAllowed(
        f"activating updates is not allowed now ({reason}); nothing was changed.", state_class="updates", reason=reason
    )
