"""Payloads of snapshots, increments, heads, artifacts and tickets: read and written as the same bytes, and closed to all else."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.deterministic_cbor import decode, encode
from rap_projections.document_schema import (
    decode_payload,
    read_artifact,
    read_head,
    read_header,
    read_increment,
    read_restore_ticket,
    read_snapshot,
    write_artifact,
    write_head,
    write_increment,
    write_restore_ticket,
    write_snapshot,
)
from rap_projections.documents import (
    CAUTIOUS_POLICY,
    Artifact,
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
    SnapshotPayload,
    Version,
)
from rap_projections.refusals import BadSchema
from rap_projections.testing.entries import make_peer, make_reference, make_route, make_service
from tests.projections.documents_support import refused

EVERYONE = Audience(True)


def snapshot(scope: Scope = Scope.PEERS, body: Any = (), **fields: Any) -> SnapshotPayload:
    return SnapshotPayload(scope, Version(1, 2), 100, 200, 300, EVERYONE, Version(1, 1), body)._replace(**fields)


BODIES: dict[Scope, Any] = {
    Scope.POLICY: CAUTIOUS_POLICY._replace(high_risk_operations=("activate_update", "resolve_secret")),
    Scope.PEERS: (make_peer("node-1"), make_peer("node-2")),
    Scope.ROUTES: (make_route("node-2", ("node-9", "node-3")), make_route("node-3")),
    Scope.SERVICES: (make_service("svc-a")._replace(policy_refs=("policy:p",), vpn_connection_refs=("vpn_connection:v",)),),
    Scope.UPDATES: (make_reference("agent", 7),),
}

NAMES = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
SETS = st.sets(NAMES, max_size=4).map(lambda items: tuple(sorted(items)))
PEERS = st.builds(
    PeerEntry,
    NAMES,
    SETS.map(lambda names: tuple(f"quic://{name}:1" for name in names)),
    st.sets(st.binary(min_size=32, max_size=32), max_size=4).map(lambda items: tuple(sorted(items))),
    SETS,
)
ROUTES = st.builds(
    RouteCandidate, NAMES, NAMES, NAMES, st.lists(NAMES, max_size=8, unique=True).map(tuple), st.integers(0, 10**6), st.booleans()
)
SERVICES = st.builds(
    ServiceAssignment,
    NAMES,
    NAMES,
    NAMES,
    st.just("running"),
    SETS.map(lambda names: tuple(f"policy:{name}" for name in names)),
    SETS.map(lambda names: tuple(f"secret:{name}" for name in names)),
    SETS.map(lambda names: tuple(f"connector:{name}" for name in names)),
    SETS.map(lambda names: tuple(f"vpn_connection:{name}" for name in names)),
)


def sorted_by_id(entries: list[Any]) -> tuple[Any, ...]:
    return tuple({entry[0]: entry for entry in sorted(entries)}[name] for name in sorted({entry[0] for entry in entries}))


@pytest.mark.parametrize("scope", Scope)
def test_snapshot_is_read_back_and_written_as_the_same_bytes(scope: Scope) -> None:
    payload = write_snapshot(snapshot(scope, BODIES[scope]))
    assert read_snapshot(payload, scope) == snapshot(scope, BODIES[scope])
    assert write_snapshot(read_snapshot(payload, scope)) == payload
    assert all(0 <= key < 24 for key in decode(payload))


@given(st.lists(PEERS, max_size=5).map(sorted_by_id), SETS)
def test_any_peers_survive_the_round_trip(body: tuple[PeerEntry, ...], nodes: tuple[str, ...]) -> None:
    audience = Audience(False, nodes=nodes) if nodes else EVERYONE
    whole = snapshot(Scope.PEERS, body, audience=audience)
    assert read_snapshot(write_snapshot(whole), Scope.PEERS) == whole


@given(st.lists(ROUTES, max_size=5).map(sorted_by_id), st.lists(SERVICES, max_size=5).map(sorted_by_id))
def test_any_routes_and_services_survive_the_round_trip(routes: Any, services: Any) -> None:
    for scope, body in ((Scope.ROUTES, routes), (Scope.SERVICES, services)):
        assert read_snapshot(write_snapshot(snapshot(scope, body)), scope).body == body


@given(
    st.binary(max_size=64) | st.recursive(st.integers() | st.text(max_size=3), st.lists, max_leaves=5).map(repr).map(str.encode)
)
def test_any_bytes_are_a_payload_or_a_bad_schema(data: bytes) -> None:
    for scope in Scope:
        with pytest.raises(BadSchema):
            read_snapshot(data, scope)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"version": Version(0, 1)}, "version"),
        ({"version": Version(1, 0)}, "version"),
        ({"version": Version(2**32, 1)}, "version"),
        ({"version": Version(1, 2**53)}, "version"),
        ({"issued_at_s": -1}, "issued_at_s"),
        ({"expires_at_s": 253_402_300_800}, "expires_at_s"),
        ({"issued_at_s": 201}, "not in this order"),
        ({"refresh_after_s": 301}, "not in this order"),
        ({"minimum": Version(1, 3)}, "below its own minimum"),
        ({"minimum": Version(2, 1)}, "below its own minimum"),
        ({"audience": Audience(False)}, "audience"),
        ({"audience": Audience(False, nodes=("b", "a"))}, "audience"),
        ({"audience": Audience(False, role="Core")}, "audience"),
    ],
)
def test_header_of_a_snapshot_is_checked(fields: dict[str, Any], words: str) -> None:
    """Mutation: drop a border, the order of times, or the minimum."""
    payload = write_snapshot(snapshot(**fields))
    assert words in str(refused(read_snapshot, payload, Scope.PEERS))
    assert words in str(refused(read_header, decode_payload(payload)))


@pytest.mark.parametrize("audience", [[], [0, 0], [1], [1, []], [1, ["a"], 0], [2], [2, 3], [3], [True], ["a"], 0, None, {}])
def test_audience_of_another_form_is_refused(audience: Any) -> None:
    """Mutation: drop the check in `_read_audience`."""
    payload = encode(decode(write_snapshot(snapshot())) | {4: audience})
    assert "audience" in str(refused(read_snapshot, payload, Scope.PEERS))


def test_header_can_be_read_when_the_body_cannot() -> None:
    value = decode(write_snapshot(snapshot())) | {6: "no body"}
    assert read_header(value).version == Version(1, 2)
    assert refused(read_snapshot, encode(value), Scope.PEERS).place == "body"


@pytest.mark.parametrize("value", [[], 1, {}, {0: [1, 1]}, None])
def test_header_of_what_is_no_snapshot_is_refused(value: Any) -> None:
    """Mutation: drop the check in `read_header`."""
    assert isinstance(refused(read_header, value), BadSchema)


@pytest.mark.parametrize(
    ("scope", "entry", "place"),
    [
        (Scope.PEERS, make_peer("node-1")._replace(endpoints=("quic://u:p@h:1",)), "body[0].endpoints[0]"),
        (Scope.PEERS, make_peer("node-1")._replace(certificate_fingerprints=(b"short",)), "body[0].certificate_fingerprints[0]"),
        (Scope.PEERS, make_peer("node-1")._replace(roles=("b", "a")), "body[0].roles[1]"),
        (Scope.ROUTES, make_route("node-2", ("a", "a")), "body[0].path"),
        (Scope.ROUTES, make_route("node-2", cost=10**6 + 1), "body[0].cost"),
        (Scope.SERVICES, make_service("svc")._replace(resource_refs=("hunter2",)), "body[0].resource_refs[0]"),
        (Scope.SERVICES, make_service("svc")._replace(resource_refs=("policy:p",)), "body[0].resource_refs[0]"),
        (Scope.SERVICES, make_service("svc")._replace(desired_state="Running"), "body[0].desired_state"),
        (Scope.UPDATES, make_reference("agent")._replace(location="https://h/x?sig=1"), "body[0].location"),
        (Scope.UPDATES, make_reference("agent")._replace(size=0), "body[0].size"),
        (Scope.UPDATES, make_reference("agent", 1)._replace(minimum_sequence=2), "body[0]"),
    ],
)
def test_entry_that_does_not_fit_is_refused_at_its_place(scope: Scope, entry: Any, place: str) -> None:
    payload = write_snapshot(snapshot(scope, (entry,)))
    refusal = refused(read_snapshot, payload, scope)
    assert (type(refusal), refusal.facts()["place"]) == (BadSchema, place)
    assert "hunter2" not in str(refusal)


def test_entries_rise_by_id_and_each_id_is_there_once() -> None:
    """Mutation: drop the comparison of neighbours."""
    one, two = make_peer("node-1"), make_peer("node-2")
    for body in ((two, one), (one, one), (one, one._replace(roles=("edge",)))):
        assert "rise" in str(refused(read_snapshot, write_snapshot(snapshot(body=body)), Scope.PEERS))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        write_snapshot(snapshot()) + b"\x00",
        write_snapshot(snapshot()).replace(b"\x01\x18\x64", b"\x01\x19\x00\x64"),
        write_snapshot(snapshot()).replace(b"\x01\x18\x64", b"\x01\xf9\x56\x40"),
        write_snapshot(snapshot()).replace(b"\x01\x18\x64", b"\x01\xc1\x18\x64"),
    ],
)
def test_payload_that_is_not_deterministic_is_refused(payload: bytes) -> None:
    """Mutation: drop the check in `decode_payload`."""
    assert "deterministic" in str(refused(read_snapshot, payload, Scope.PEERS))


def increment(**fields: Any) -> Increment:
    header = (Scope.PEERS, Version(1, 3), 100, 200, 300, EVERYONE, Version(1, 1))
    return Increment(*header, bytes(32), b"\x01" * 32, (make_peer("node-2"),), ("node-1",))._replace(**fields)


def test_increment_is_read_back_and_its_parts_must_agree() -> None:
    """Mutation: drop a check in `_check_increment`."""
    assert read_increment(write_increment(increment()), Scope.PEERS) == increment()
    for fields, words in (
        ({"removed": ("node-2",)}, "both changed and removed"),
        ({"result_content_id": bytes(32)}, "its own base"),
        ({"expires_at_s": 1}, "not in this order"),
        ({"removed": ("b", "a")}, "rise"),
    ):
        assert words in str(refused(read_increment, write_increment(increment(**fields)), Scope.PEERS))


def test_head_is_read_back_and_lists_each_scope_once() -> None:
    """Mutation: a scope is any text."""
    entry = HeadEntry(Scope.PEERS, Version(1, 2), bytes(32), 99)
    head = Head(1, 100, 200, 3, (entry, entry._replace(scope=Scope.ROUTES)))
    assert read_head(write_head(head)) == head
    for wrong in (
        head._replace(entries=(entry, entry)),
        head._replace(entries=head.entries[::-1]),
        head._replace(expires_at_s=99),
    ):
        assert isinstance(refused(read_head, write_head(wrong)), BadSchema)
    unknown = decode(write_head(head)) | {4: [{0: "secrets", 1: [1, 1], 2: bytes(32), 3: 1}]}
    assert "does not know" in str(refused(read_head, encode(unknown)))


def test_artifact_is_read_back() -> None:
    artifact = Artifact(100, 200, EVERYONE, make_reference("agent", 3))
    assert read_artifact(write_artifact(artifact)) == artifact
    assert isinstance(refused(read_artifact, write_artifact(artifact._replace(expires_at_s=99))), BadSchema)


def ticket(**fields: Any) -> RestoreTicket:
    floor = ScopeFloor(Scope.PEERS, Version(1, 2), bytes(32))
    base = RestoreTicket(
        bytes(16),
        "node-1",
        "m-1",
        bytes(32),
        bytes(16),
        bytes(32),
        bytes(32),
        3,
        (floor,),
        bytes(32),
        100,
        3700,
        RestoreVerdict.REENROLL,
    )
    return base._replace(**fields)


def test_restore_ticket_is_read_back_and_valid_for_an_hour_at_most() -> None:
    """Mutation: drop the limit of an hour."""
    assert read_restore_ticket(write_restore_ticket(ticket())) == ticket()
    for fields in ({"expires_at_s": 3701}, {"expires_at_s": 99}, {"nonce": bytes(31)}, {"journal_id": bytes(32)}):
        assert isinstance(refused(read_restore_ticket, write_restore_ticket(ticket(**fields))), BadSchema)
    unknown = decode(write_restore_ticket(ticket())) | {12: 2}
    assert "does not know" in str(refused(read_restore_ticket, encode(unknown)))
