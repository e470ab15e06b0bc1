"""The calls about updates: a signed reference waits, its bytes are hashed, and only then it may become what runs.

Rules this file keeps:

- What waits came from a reference that verifies; what is activated was hashed and is what the reference names (spec 4).
- The reference is kept and judged again, under the trust in force and trusted time, before its bytes are hashed or handed out: one that
  was revoked or is past its end installs nothing, and what waits by it is dropped (trust, 10).
- The bytes are held from hashing on where nobody can change them, and what activating hands out is these very bytes (trust, 13).
- Activating is high-risk work and asks the one gate; rolling back is not, since it leads away from what was just installed.
- What is refused is recorded, bounded, and changes nothing else.

They are held in memory, and gone with the process. An agent that was killed between activating and installing brings them again:
`verify_artifact` and `activate` then change nothing, and hand out what is to be installed.

Example::

    cluster.updates.stage(document)
    cluster.updates.verify_artifact("agent", path.open("rb"))
    with cluster.updates.activate("agent").artifact as artifact:
        install(artifact.path)
"""

import hashlib
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO, NamedTuple, Unpack

from rap_journal.errors import NoSpace
from rap_journal.os_memory_file import SealedFile, sealed_copy
from rap_projections import update_decisions as decisions
from rap_projections.arguments import require
from rap_projections.cluster_context import ClusterContext
from rap_projections.event_kinds import UPDATES, Event
from rap_projections.journaled_state import Decide
from rap_projections.node_time import Now
from rap_projections.operations import Operation
from rap_projections.receipts import Context, Receipt, check_word
from rap_projections.refusals import NotAllowed, NotValidated, RefusedError
from rap_projections.stored_document import stored_document
from rap_projections.updates import SubjectView, UpdatesView
from rap_projections.verification import verify_artifact
from rap_projections.verified import VerifiedArtifact

UNKNOWN_SUBJECT = "unknown"
"""Under which refusals stand of documents that do not say what they are for."""

KEPT = "kept"
"""Under which refusals stand of references that were good when they were staged."""


class Activated(NamedTuple):
    """What activating an update answers.

    Attributes:
        receipt: what became of the call.
        artifact: the bytes to install, which nobody can change. The caller closes them when it is done.
    """

    receipt: Receipt
    artifact: SealedFile


class Updates:
    """What `cluster.updates` is."""

    def __init__(self, context: ClusterContext) -> None:
        self._context = context
        self._held: dict[str, SealedFile] = {}

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
            with self._context.authority:
                verified = self._verify(reference)
                subject = verified.artifact.reference.subject
                if self._view().subject(subject).pending is not None:
                    # What waits and counts no longer bars nothing, however high its sequence.
                    self._review(subject, context)
                return self._context.execute("updates", lambda now: self._staged(verified), context)
        except RefusedError as refusal:
            self._record(refusal, subject, source, hashlib.sha256(reference).digest(), context)
            raise

    def verify_artifact(self, subject: str, artifact: BinaryIO | bytes, **context: Unpack[Context]) -> Receipt:
        """Hash the artifact's bytes, from where the file stands on, compare them with the reference, and hold them until they are activated.

        Raises `WrongArtifact`, `Rollback`, or what `stage` raises where the reference counts no longer, all of which is recorded;
        `MisuseError` where nothing waits; `NotAllowed` for more bytes than the policy lets be held; `StorageError` where the platform cannot
        hold them; what reading and writing raise.
        """
        cluster = self._context
        cluster.require_open()
        cluster.core.origin(context)
        require("subject", subject, str)
        if not hasattr(artifact, "read"):
            require("artifact", artifact, bytes)
        self._require_signed(subject, context)
        size_max = decisions.expected_size(self._view(), subject, cluster.policy.artifact_bytes_max)
        copy = sealed_copy(BytesIO(artifact) if isinstance(artifact, bytes) else artifact, size_max)
        try:
            receipt = cluster.execute(
                "updates",
                lambda now: decisions.decide_artifact_verified(self._view(), subject, sha256=copy.sha256, size=copy.size),
                context,
            )
        except BaseException as error:
            copy.close()
            if isinstance(error, RefusedError):
                self._record(error, subject, "artifact", copy.sha256, context)
            raise
        self._hold(subject, copy)
        return receipt

    def activate(self, subject: str, **context: Unpack[Context]) -> Activated:
        """Make the pending release the current one, the one before it the rollback candidate; answers with the bytes to install.

        Of a release that is current already and has not proved itself, it hands out the bytes again and changes nothing.

        Raises `NotAllowed` where its bytes were not verified, are not held any more (``not_held``: verify them again) or the gate is closed,
        `NotValidated` after a restore, `Rollback` where the signed minimum rose above it, what `stage` raises where its reference counts no
        longer (recorded, and what waits is dropped), `MisuseError` where nothing waits; `FailClosed`, `StorageError`.
        """
        cluster = self._context
        cluster.require_open()
        cluster.core.origin(context)
        require("subject", subject, str)
        cluster.ask(Operation.ACTIVATE_UPDATE)

        def decide(now: Now) -> tuple[Event, ...]:
            view = self._view()
            events = decisions.decide_activate(view, subject)
            gate = cluster.allowed(Operation.ACTIVATE_UPDATE, now)
            if not gate.ok:
                raise _closed(gate.reason)
            self._require_held(subject, decisions.digest_to_install(view, subject))
            return events

        with cluster.authority:
            self._require_signed(subject, context)
            receipt = cluster.execute("updates", decide, context)
            return Activated(receipt, self._held[subject].duplicate())

    def forget(self) -> None:
        """Let go of all bytes that are held: the cluster is closed."""
        for subject in tuple(self._held):
            self._let_go(subject)

    def confirm(self, subject: str, **context: Unpack[Context]) -> Receipt:
        """The current release proved itself. Raises `MisuseError` where none is known."""
        require("subject", subject, str)
        receipt = self._execute(lambda now: decisions.decide_confirm(self._view(), subject), context)
        self._let_go(subject)
        return receipt

    def roll_back(self, subject: str, *, reason: str, **context: Unpack[Context]) -> Receipt:
        """Make the rollback candidate the current release again.

        Raises `NotAllowed` without one that is at or above the signed minimum and not revoked; `MisuseError` for a bad reason;
        `FailClosed`, `StorageError`.
        """
        require("subject", subject, str)
        check_word("reason", reason)
        is_revoked = self._context.require_trust().is_content_revoked
        receipt = self._execute(
            lambda now: decisions.decide_roll_back(self._view(), subject, reason=reason, is_revoked=is_revoked), context
        )
        self._let_go(subject)
        return receipt

    def _hold(self, subject: str, copy: SealedFile) -> None:
        self._let_go(subject)
        self._held[subject] = copy

    def _let_go(self, subject: str) -> None:
        held = self._held.pop(subject, None)
        if held is not None:
            held.close()

    def _require_held(self, subject: str, sha256: bytes) -> None:
        held = self._held.get(subject)
        if held is None or held.sha256 != sha256:
            raise NotAllowed(
                "the bytes that were verified are not held any more, since the store was opened anew; nothing was changed. "
                "Verify them again, then activate.",
                state_class="updates",
                reason="not_held",
            )

    def _execute(self, decide: Decide, context: Context) -> Receipt:
        self._context.require_open()
        return self._context.execute("updates", decide, context)

    def _verify(self, reference: bytes, *, is_timed: bool = True) -> VerifiedArtifact:
        cluster = self._context
        trusted_s = cluster.core.now().trusted_s if is_timed else 0
        return verify_artifact(reference, cluster.require_trust(), trusted_s=trusted_s, recipient=cluster.recipient())

    def _staged(self, verified: VerifiedArtifact) -> tuple[Event, ...]:
        # A reference has 16 KiB at most: it always fits into its event, and needs no file of its own.
        stored = stored_document(verified.data, file_id=b"")
        return decisions.decide_stage(self._view(), verified.artifact.reference, content_id=verified.content_id, stored=stored)

    def _require_signed(self, subject: str, context: Context) -> None:
        """Raise the refusal of the reference by which something is to be installed, where it counts no longer."""
        refusal = self._review(subject, context)
        if refusal is not None:
            raise refusal

    def _review(self, subject: str, context: Context) -> RefusedError | None:
        """Judge the kept reference of a subject again; what waits by one that is refused is dropped, and the refusal recorded.

        Of a release that is current already and has not proved itself, the time is not judged: what it replaced may be gone.
        """
        cluster = self._context
        with cluster.authority:
            it = self._view().subject(subject)
            kept = it.pending.signed if it.pending else it.current and it.current.signed
            if kept is None:
                return None
            reference = cluster.shelf.load(UPDATES, kept)
            try:
                self._verify(reference, is_timed=it.pending is not None)
            except RefusedError as refusal:
                reason = refusal.word
                cluster.execute("updates", lambda now: decisions.decide_drop(self._view(), subject, reason=reason), context)
                self._let_go(subject)
                self._record(refusal, subject, KEPT, hashlib.sha256(reference).digest(), context)
                return refusal
        return None

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


def _closed(reason: str) -> NotAllowed | NotValidated:
    if reason == "not_validated":
        return NotValidated("updates are not activated until the restore is validated.", state_class="updates", reason=reason)
    return NotAllowed(
        f"activating updates is not allowed now ({reason}); nothing was changed.", state_class="updates", reason=reason
    )
