"""The small values: what they admit, and that they cannot be changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rap_journal.errors import MisuseError
from rap_journal.values import ClassSpec, ClusterId, Durability, Position, SegmentNumber


@pytest.mark.parametrize("text", ["a", "0", "eu-west-1", "a--b", "x" * 63, "1-2-3"])
def test_a_dns_label_is_a_cluster_id(text: str) -> None:
    cluster = ClusterId(text)
    assert cluster == text
    assert isinstance(cluster, str)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-a",
        "a-",
        "-",
        "x" * 64,
        "EU",
        "a.b",
        "a_b",
        "a b",
        "a/b",
        "..",
        ".",
        "../etc",
        "a\n",
        "\na",
        "a\0",
        "ä",
        "\uff41",
        "\u0660",
        "a\u2010b",
    ],
    ids=ascii,
)
def test_what_could_leave_the_store_or_share_a_folder_is_no_cluster_id(text: str) -> None:
    with pytest.raises(MisuseError) as caught:
        ClusterId(text)
    assert caught.value.reason == "bad_cluster_id"
    assert caught.value.action == "fix_call"


@given(st.text(max_size=70))
def test_every_cluster_id_is_a_safe_file_name_of_its_own(text: str) -> None:
    try:
        cluster = ClusterId(text)
    except MisuseError:
        return
    assert cluster == cluster.lower() == cluster.strip("-")
    assert cluster.isascii() and cluster.replace("-", "").isalnum() and 1 <= len(cluster) <= 63


def test_a_long_text_is_cut_in_the_message() -> None:
    with pytest.raises(MisuseError) as caught:
        ClusterId("A" * 10_000)
    assert len(str(caught.value)) < 250


def test_durabilities_are_ordered_from_cache_to_strict() -> None:
    assert Durability.CACHE < Durability.SYNC < Durability.STRICT
    assert [int(each) for each in Durability] == [0, 1, 2]


def test_specifications_and_positions_are_immutable() -> None:
    spec, position = ClassSpec(1, "identity", Durability.STRICT), Position(SegmentNumber(1), 4096)
    with pytest.raises(AttributeError):
        spec.number = 2  # type: ignore[misc]  # that it is refused is what is tested
    with pytest.raises(AttributeError):
        position.offset = 0  # type: ignore[misc]  # that it is refused is what is tested
    assert Position(SegmentNumber(1), 9000) < Position(SegmentNumber(2), 0), "positions sort by place in the journal"
