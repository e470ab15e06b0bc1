"""The operator's limits, and the stricter of two policies."""

import dataclasses

import pytest

from rap_journal.deterministic_cbor import decode, encode_arrays
from rap_journal.errors import MisuseError
from rap_projections.documents import CAUTIOUS_POLICY, SignedPolicy
from rap_projections.policy import HIGH_RISK_OPERATIONS, EffectivePolicy, Policy, effective

OPEN = CAUTIOUS_POLICY._replace(
    fallback_allowed=True,
    shortcut_allowed=True,
    degraded_s_max=10**9,
    offline_s_max=10**9,
    high_risk_operations=HIGH_RISK_OPERATIONS,
    previous_snapshots_max=64,
    peers_max=10**6,
    observation_age_s_max=10**9,
    routes_max=10**6,
    route_age_s_max=10**9,
    alternatives_max=64,
)


def test_without_a_signed_policy_the_cautious_defaults_apply() -> None:
    limits = effective(Policy(), None)
    assert {name: getattr(limits, name) for name in CAUTIOUS_POLICY._fields} == CAUTIOUS_POLICY._asdict()


def test_a_signed_policy_wider_than_the_operator_widens_nothing() -> None:
    assert effective(Policy(), OPEN).to_value() == Policy().to_value()


def test_of_two_maxima_the_smaller_counts_on_either_side() -> None:
    assert effective(Policy(peers_max=5), OPEN).peers_max == 5
    assert effective(Policy(peers_max=5), OPEN._replace(peers_max=3)).peers_max == 3


@pytest.mark.parametrize(
    ("ours", "theirs", "both"), [(True, True, True), (True, False, False), (False, True, False), (False, False, False)]
)
def test_an_allowance_needs_both(ours: bool, theirs: bool, both: bool) -> None:
    assert effective(Policy(fallback_allowed=ours), OPEN._replace(fallback_allowed=theirs)).fallback_allowed is both


def test_of_two_lists_of_operations_the_common_ones_count() -> None:
    signed = OPEN._replace(high_risk_operations=("fly", "new_session", "start_service"))
    limits = effective(Policy(high_risk_operations=("resolve_secret", "new_session")), signed)
    assert limits.high_risk_operations == ("new_session",)


def test_a_signed_policy_that_forbids_everything_is_in_range() -> None:
    nothing = SignedPolicy(False, 0, 0, (), False, 0, 0, 0, 0, 0, 0)
    limits = effective(Policy(), nothing)
    assert (limits.peers_max, limits.observation_age_s_max, limits.previous_snapshots_max) == (0, 0, 0)


def test_limits_of_the_operator_alone_are_taken_over() -> None:
    assert effective(Policy(segment_bytes_max=4096, ledger_days=3), OPEN).segment_bytes_max == 4096


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("segment_bytes_max", 4095, "4096 to 1073741824"),
        ("segment_bytes_max", (1 << 30) + 1, "4096 to 1073741824"),
        ("peers_max", -1, "0 to 1000000"),
        ("peers_max", True, "0 to 1000000"),
        ("peers_max", "5", "0 to 1000000"),
        ("peers_max", 5.0, "0 to 1000000"),
        ("fallback_allowed", 1, "true or false"),
        ("high_risk_operations", ("fly",), "some of: activate_update"),
        ("high_risk_operations", ["new_session"], "a tuple"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_range(name: str, value: object, wanted: str) -> None:
    with pytest.raises(MisuseError, match=f"policy field {name} is ") as caught:
        Policy(**{name: value})  # type: ignore[arg-type]  # wrong types are the point
    assert wanted in str(caught.value) and caught.value.reason == "policy_value"


def test_both_ends_of_a_range_are_allowed() -> None:
    assert Policy(route_switch_permille=0).route_switch_permille == 0
    assert Policy(route_switch_permille=1000).route_switch_permille == 1000


def test_toml_sets_what_it_names_and_leaves_the_rest() -> None:
    policy = Policy.from_toml(b'peers_max = 7\nfallback_allowed = false\nhigh_risk_operations = ["new_session"]')
    assert policy == Policy(peers_max=7, fallback_allowed=False, high_risk_operations=("new_session",))
    assert Policy.from_toml("") == Policy()


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(MisuseError, match=r"no field 'peer_max'; nothing was changed\. The nearest is 'peers_max'"):
        Policy.from_toml("peer_max = 7")


@pytest.mark.parametrize("text", ["peers_max = ", b"\xff", "[peers_max]\na = 1"])
def test_what_is_not_the_toml_of_a_policy_is_refused(text: bytes | str) -> None:
    with pytest.raises(MisuseError):
        Policy.from_toml(text)


def test_a_policy_can_be_written_as_an_event_and_lists_every_field_once() -> None:
    value = Policy().to_value()
    assert [name for name, _ in value] == sorted(field.name for field in dataclasses.fields(Policy))
    assert encode_arrays(decode(encode_arrays(value))) == encode_arrays(value)


def test_the_signed_part_is_what_a_signed_policy_can_speak_about() -> None:
    assert [name for name, _ in effective(Policy(), OPEN).signed_part()] == sorted(CAUTIOUS_POLICY._fields)


def test_an_effective_policy_is_a_type_of_its_own() -> None:
    assert isinstance(effective(Policy(), None), EffectivePolicy) and not isinstance(Policy(), EffectivePolicy)


def test_every_limit_with_a_unit_says_it_in_its_name() -> None:
    units = (
        "_bytes",
        "_bytes_max",
        "_h",
        "_days",
        "_ms",
        "_s",
        "_s_max",
        "_max",
        "_permille",
        "_allowed",
        "_events",
        "_operations",
    )
    assert [field.name for field in dataclasses.fields(Policy) if not field.name.endswith(units)] == []
