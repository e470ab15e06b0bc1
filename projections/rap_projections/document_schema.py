"""The payload of every document type: bytes to typed values, and typed values to bytes. The closed schema of DOCUMENTS.md in code.

Rules this file keeps:

- A payload is deterministic CBOR, its maps have integer keys from 0, and it says nothing that the schema has no place for.
- Reading gives the typed values of `documents`, or `BadSchema` with the place. Writing does not check: tests must be able to make
  what an issuer with a fault would sign.
- What is read is written back as the same bytes.

The payload does not repeat type, cluster and scope: those are in the header, and in the content id.

Example::

    payload = write_snapshot(snapshot)
    assert read_snapshot(payload, snapshot.scope) == snapshot
"""

from typing import Any, NamedTuple

from rap_journal.deterministic_cbor import MalformedCbor, decode, encode
from rap_projections.documents import (
    Artifact,
    ArtifactReference,
    Audience,
    Head,
    HeadEntry,
    Increment,
    PeerEntry,
    RestoreTicket,
    RestoreVerdict,
    RouteCandidate,
    Scope,
    ScopeFloor,
    ServiceAssignment,
    SignedPolicy,
    SnapshotPayload,
    Version,
)
from rap_projections.payload_fields import (
    COUNT_MAX,
    DIGEST,
    ENDPOINT,
    GENERATION,
    LOCATION,
    NAME,
    RANDOM_ID,
    SPAN_S,
    TIME_S,
    VERSION_NUMBER,
    VERSION_TEXT,
    WORD,
    YES_NO,
    Field,
    checked,
    integer,
    member,
    pair,
    record,
    reference,
    sequence,
    sorted_set,
    text,
)
from rap_projections.refusals import BadSchema

ENTRIES_MAX = 32_768
"""Most entries of a snapshot, increment or audience; the size of the document usually ends it sooner."""

TICKET_LIFE_MAX_S = 3600
"""Longest validity of a restore ticket (trust, 19)."""

VERSION = pair(Version, GENERATION, VERSION_NUMBER)
SCOPE: Field[Scope] = member(Scope, text("[a-z]+", "a scope"))


def _read_audience(value: Any) -> Audience:
    kind, *rest = value if type(value) in (list, tuple) and value else (None,)
    if type(kind) is int and kind == 0 and not rest:
        return Audience(True)
    if type(kind) is int and kind == 1 and len(rest) == 1:
        return Audience(False, nodes=_AUDIENCE_NODES.read(rest[0]))
    if type(kind) is int and kind == 2 and len(rest) == 1:
        return Audience(False, role=NAME.read(rest[0]))
    raise BadSchema("not an audience: [0], [1, nodes] or [2, role]")


def _write_audience(audience: Audience) -> list[Any]:
    if audience.everyone:
        return [0]
    return [2, audience.role] if audience.role is not None else [1, list(audience.nodes)]


_AUDIENCE_NODES = sorted_set(NAME, 1, ENTRIES_MAX)
AUDIENCE = Field(_read_audience, _write_audience)

PEER = record(
    PeerEntry,
    id=NAME,
    endpoints=sorted_set(ENDPOINT, 0, 8),
    certificate_fingerprints=sorted_set(DIGEST, 0, 4),
    roles=sorted_set(NAME, 0, 16),
)
ROUTE = record(
    RouteCandidate,
    id=NAME,
    destination=NAME,
    channel=NAME,
    path=sequence(NAME, 0, 8, unique=True),
    cost=integer(0, 10**6),
    shortcut=YES_NO,
)
SERVICE = record(
    ServiceAssignment,
    id=NAME,
    kind=NAME,
    version=VERSION_TEXT,
    desired_state=WORD,
    policy_refs=sorted_set(reference("policy"), 0, 32),
    resource_refs=sorted_set(reference("resource", "secret", "config", "volume"), 0, 32),
    connector_refs=sorted_set(reference("connector"), 0, 32),
    vpn_connection_refs=sorted_set(reference("vpn_connection"), 0, 32),
)
ARTIFACT_REFERENCE = checked(
    record(
        ArtifactReference,
        subject=NAME,
        version=VERSION_TEXT,
        sequence=VERSION_NUMBER,
        sha256=DIGEST,
        size=integer(1, COUNT_MAX),
        location=LOCATION,
        rollout=NAME,
        minimum_sequence=integer(0, COUNT_MAX),
    ),
    lambda it: "a sequence below its own minimum" if it.sequence < it.minimum_sequence else None,
)
POLICY = record(
    SignedPolicy,
    fallback_allowed=YES_NO,
    degraded_s_max=SPAN_S,
    offline_s_max=SPAN_S,
    high_risk_operations=sorted_set(WORD, 0, 16),
    shortcut_allowed=YES_NO,
    previous_snapshots_max=integer(0, 64),
    peers_max=integer(1, 10**6),
    observation_age_s_max=SPAN_S,
    routes_max=integer(1, 10**6),
    route_age_s_max=SPAN_S,
    alternatives_max=integer(0, 64),
)


def _entry_id(entry: Any) -> str:
    return str(entry[0])


BODIES: dict[Scope, Field[Any]] = {
    Scope.POLICY: POLICY,
    Scope.PEERS: sorted_set(PEER, 0, ENTRIES_MAX, key=_entry_id),
    Scope.ROUTES: sorted_set(ROUTE, 0, ENTRIES_MAX, key=_entry_id),
    Scope.SERVICES: sorted_set(SERVICE, 0, ENTRIES_MAX, key=_entry_id),
    Scope.UPDATES: sorted_set(ARTIFACT_REFERENCE, 0, ENTRIES_MAX, key=_entry_id),
}
"""What a snapshot of each scope holds. The first field of every entry is its id."""


class SnapshotHeader(NamedTuple):
    """The part of a snapshot or increment that the rules judge before anyone reads the body; keys 0 to 5 of the payload."""

    version: Version
    issued_at_s: int
    refresh_after_s: int
    expires_at_s: int
    audience: Audience
    minimum: Version


HEADER_FIELDS: dict[str, Field[Any]] = {
    "version": VERSION,
    "issued_at_s": TIME_S,
    "refresh_after_s": TIME_S,
    "expires_at_s": TIME_S,
    "audience": AUDIENCE,
    "minimum": VERSION,
}


def _check_header(header: SnapshotHeader | SnapshotPayload | Increment) -> str | None:
    if not header.issued_at_s <= header.refresh_after_s <= header.expires_at_s:
        return "issue, refresh and end of validity are not in this order"
    if header.minimum > header.version:
        return "a version below its own minimum"
    return None


HEADER = checked(record(SnapshotHeader, **HEADER_FIELDS), _check_header)


def _check_increment(increment: Increment) -> str | None:
    if not {_entry_id(entry) for entry in increment.changed}.isdisjoint(increment.removed):
        return "an id is both changed and removed"
    if increment.base_content_id == increment.result_content_id:
        return "the result is its own base"
    return _check_header(increment)


SNAPSHOTS: dict[Scope, Field[SnapshotPayload]] = {
    scope: checked(record(SnapshotPayload, scope, **HEADER_FIELDS, body=body), _check_header) for scope, body in BODIES.items()
}
INCREMENTS: dict[Scope, Field[Increment]] = {
    scope: checked(
        record(
            Increment,
            scope,
            **HEADER_FIELDS,
            base_content_id=DIGEST,
            result_content_id=DIGEST,
            changed=body,
            removed=sorted_set(NAME, 0, ENTRIES_MAX),
        ),
        _check_increment,
    )
    for scope, body in BODIES.items()
    if scope is not Scope.POLICY
}
HEAD_ENTRY = record(HeadEntry, scope=SCOPE, version=VERSION, content_id=DIGEST, size=integer(1, COUNT_MAX))
HEAD = checked(
    record(
        Head,
        version=VERSION_NUMBER,
        issued_at_s=TIME_S,
        expires_at_s=TIME_S,
        bundle_version=VERSION_NUMBER,
        entries=sorted_set(HEAD_ENTRY, 0, len(Scope), key=lambda entry: entry.scope.value),
    ),
    lambda it: "it ends before it was issued" if it.expires_at_s < it.issued_at_s else None,
)
ARTIFACT = checked(
    record(Artifact, issued_at_s=TIME_S, expires_at_s=TIME_S, audience=AUDIENCE, reference=ARTIFACT_REFERENCE),
    lambda it: "it ends before it was issued" if it.expires_at_s < it.issued_at_s else None,
)
SCOPE_FLOOR = record(ScopeFloor, scope=SCOPE, version=VERSION, content_id=DIGEST)
RESTORE_TICKET = checked(
    record(
        RestoreTicket,
        journal_id=RANDOM_ID,
        node_id=NAME,
        membership_id=NAME,
        nonce=DIGEST,
        incarnation=RANDOM_ID,
        backup_digest=DIGEST,
        identity_key_sha256=DIGEST,
        minimum_bundle_version=VERSION_NUMBER,
        floors=sorted_set(SCOPE_FLOOR, 0, len(Scope), key=lambda floor: floor.scope.value),
        revocation_digest=DIGEST,
        issued_at_s=TIME_S,
        expires_at_s=TIME_S,
        verdict=member(RestoreVerdict, integer(0, 23)),
    ),
    lambda it: (
        None if 0 <= it.expires_at_s - it.issued_at_s <= TICKET_LIFE_MAX_S else "it is valid for more than an hour, or for none"
    ),
)


def decode_payload(payload: bytes) -> Any:
    """The CBOR value of a payload, nothing in it read yet. Raises `BadSchema` unless it is deterministic."""
    try:
        return decode(payload, size_max=len(payload))
    except MalformedCbor as error:
        raise BadSchema("the payload is not deterministic CBOR") from error


def read_header(value: Any) -> SnapshotHeader:
    """The header of a decoded snapshot or increment. Raises `BadSchema`."""
    if type(value) is not dict:
        raise BadSchema("the payload is not a map")
    return HEADER.read({key: value[key] for key in range(len(HEADER_FIELDS)) if key in value})


def header_of(document: SnapshotPayload | Increment) -> SnapshotHeader:
    """The header of a snapshot, or of what an increment leads to."""
    return SnapshotHeader(
        document.version,
        document.issued_at_s,
        document.refresh_after_s,
        document.expires_at_s,
        document.audience,
        document.minimum,
    )


def read_snapshot(payload: bytes, scope: Scope) -> SnapshotPayload:
    """What a snapshot of `scope` says. Raises `BadSchema`."""
    return SNAPSHOTS[scope].read(decode_payload(payload))


def write_snapshot(snapshot: SnapshotPayload) -> bytes:
    """The payload of a snapshot."""
    return encode(SNAPSHOTS[snapshot.scope].write(snapshot))


def read_increment(payload: bytes, scope: Scope) -> Increment:
    """What an increment of `scope` says. Raises `BadSchema`."""
    return INCREMENTS[scope].read(decode_payload(payload))


def write_increment(increment: Increment) -> bytes:
    """The payload of an increment."""
    return encode(INCREMENTS[increment.scope].write(increment))


def read_head(payload: bytes) -> Head:
    """What a head says. Raises `BadSchema`."""
    return HEAD.read(decode_payload(payload))


def write_head(head: Head) -> bytes:
    """The payload of a head."""
    return encode(HEAD.write(head))


def read_artifact(payload: bytes) -> Artifact:
    """What an artifact document says. Raises `BadSchema`."""
    return ARTIFACT.read(decode_payload(payload))


def write_artifact(artifact: Artifact) -> bytes:
    """The payload of an artifact document."""
    return encode(ARTIFACT.write(artifact))


def read_restore_ticket(payload: bytes) -> RestoreTicket:
    """What a restore ticket says. Raises `BadSchema`."""
    return RESTORE_TICKET.read(decode_payload(payload))


def write_restore_ticket(ticket: RestoreTicket) -> bytes:
    """The payload of a restore ticket."""
    return encode(RESTORE_TICKET.write(ticket))
