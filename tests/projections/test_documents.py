"""What signed documents say, as values: closed lists, the order of versions, and cautious defaults."""

import inspect
import typing
from typing import Any

import pytest

from rap_projections import documents
from rap_projections.documents import (
    CAUTIOUS_POLICY,
    CLUSTER_WIDE,
    Audience,
    Body,
    DocumentType,
    RestoreVerdict,
    RevocationKind,
    Scope,
    SignedPolicy,
    Version,
)
from rap_projections.operations import Operation
from rap_projections.policy import HIGH_RISK_OPERATIONS, Policy, effective


def test_types_and_scopes_are_closed_lists_and_their_words_are_signed() -> None:
    assert [kind.value for kind in DocumentType] == ["bundle", "restore-ticket", "head", "snapshot", "increment", "artifact"]
    assert [scope.value for scope in Scope] == ["policy", "peers", "routes", "services", "updates"]
    assert CLUSTER_WIDE == "cluster" and CLUSTER_WIDE not in [scope.value for scope in Scope]


def test_the_numbers_in_signed_payloads_never_change() -> None:
    assert [(kind.name, int(kind)) for kind in RevocationKind] == [
        ("KID", 0),
        ("CERTIFICATE", 1),
        ("IDENTITY", 2),
        ("BUNDLE", 3),
        ("CONTENT", 4),
    ]
    assert [(verdict.name, int(verdict)) for verdict in RestoreVerdict] == [("ACCEPT", 0), ("REENROLL", 1)]


def test_versions_are_ordered_by_generation_first() -> None:
    versions = [Version(1, 1), Version(1, 2), Version(1, 10), Version(2, 0), Version(2, 1)]
    backwards = list(reversed(versions))
    assert sorted(backwards) == versions
    assert Version(2, 1) > Version(1, 999)


def test_an_audience_is_nobody_unless_it_names_somebody() -> None:
    assert Audience(False) == Audience(everyone=False, nodes=(), role=None)


def test_without_a_signed_policy_nothing_risky_is_allowed() -> None:
    assert not CAUTIOUS_POLICY.fallback_allowed
    assert not CAUTIOUS_POLICY.shortcut_allowed
    assert CAUTIOUS_POLICY.high_risk_operations == ()
    assert (CAUTIOUS_POLICY.degraded_s_max, CAUTIOUS_POLICY.offline_s_max) == (3600, 86_400)


def test_the_cautious_policy_is_in_force_until_one_is_signed() -> None:
    assert effective(Policy(), None) == effective(Policy(), CAUTIOUS_POLICY)
    bold = CAUTIOUS_POLICY._replace(high_risk_operations=tuple(operation.value for operation in Operation))
    assert effective(Policy(), bold).high_risk_operations == HIGH_RISK_OPERATIONS
    # Backing up private keys takes the operator's own word beside the cluster's.
    named = Policy(high_risk_operations=("back_up_keys",))
    assert effective(named, bold).high_risk_operations == ("back_up_keys",)


VALUES: list[Any] = [value for _name, value in inspect.getmembers(documents, inspect.isclass) if issubclass(value, tuple)]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_a_value_holds_no_list_map_or_float_so_that_it_can_be_compared_and_signed(value: type) -> None:
    def parts(hint: object) -> set[object]:
        return {hint} | {part for argument in typing.get_args(hint) for part in parts(argument)}

    for name, hint in typing.get_type_hints(value).items():
        assert not parts(hint) & {list, dict, set, float}, name


def test_there_is_no_field_for_a_credential() -> None:
    words = ("secret", "password", "token", "credential", "private")
    named = {f"{value.__name__}.{field}" for value in VALUES for field in value._fields if any(word in field for word in words)}
    assert named == set()


def test_every_scope_has_its_sort_of_body() -> None:
    bodies = set(typing.get_args(Body))
    assert SignedPolicy in bodies
    assert {typing.get_args(body)[0] for body in bodies - {SignedPolicy}} == {
        documents.PeerEntry,
        documents.RouteCandidate,
        documents.ServiceAssignment,
        documents.ArtifactReference,
    }


def test_entries_are_sorted_by_their_first_field_which_is_their_id() -> None:
    first = {body: typing.get_args(body)[0]._fields[0] for body in set(typing.get_args(Body)) - {SignedPolicy}}
    assert sorted(first.values()) == ["id", "id", "id", "subject"]
