"""Measured traces: the published layout is read exactly, and what is not that layout is refused by file and line."""

import gzip
from pathlib import Path

import pytest

from rap_journal.errors import MisuseError
from rap_tools.traces import SLICE_BYTES_MAX, LatencyTrace
from tests.shared_data import shared_data

SECONDS = "0\t0.02\t0\n0.03\t0.5\t0.1\n0.25\t1.5\t0\n"
MILLISECONDS = "0\t20.5\t31\n20.5\t0\t140\n31\t140\t0\n"


def write_slice(folder: Path, name: str, text: str) -> None:
    content = text.encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def refusal(folder: Path, node: int = 0) -> MisuseError:
    with pytest.raises(MisuseError) as caught:
        list(LatencyTrace.open(folder).rows(node))
    return caught.value


def test_seattle_is_read_in_seconds_and_a_zero_off_the_diagonal_is_a_failed_probe(tmp_path: Path) -> None:
    write_slice(tmp_path, "SeattleData_1.txt.gz", SECONDS)
    trace = LatencyTrace.open(tmp_path)
    assert (trace.node_count, trace.slices, trace.unit) == (3, 1, "seconds")
    assert list(trace.rows(node=0)) == [(0, [(1, 20.0), (2, None)])]


def test_the_diagonal_is_skipped_also_where_it_is_not_zero(tmp_path: Path) -> None:
    write_slice(tmp_path, "SeattleData_1.txt.gz", SECONDS)
    assert list(LatencyTrace.open(tmp_path).rows(node=1)) == [(0, [(0, 30.0), (2, 100.0)])]


def test_planetlab_is_read_in_milliseconds_however_small_its_values(tmp_path: Path) -> None:
    write_slice(tmp_path, "PlanetLabData_1.txt.gz", SECONDS)
    assert list(LatencyTrace.open(tmp_path).rows(node=2)) == [(0, [(0, 0.25), (1, 1.5)])]


@pytest.mark.parametrize(("text", "unit", "first_rtt_ms"), [(SECONDS, "seconds", 20.0), (MILLISECONDS, "milliseconds", 20.5)])
def test_the_median_tells_the_unit_of_an_unknown_data_set(tmp_path: Path, text: str, unit: str, first_rtt_ms: float) -> None:
    write_slice(tmp_path, "mine_1.txt", text)
    trace = LatencyTrace.open(tmp_path)
    assert trace.unit == unit
    assert next(trace.rows(node=0))[1][0] == (1, first_rtt_ms)


def test_a_named_unit_overrides_name_and_median(tmp_path: Path) -> None:
    write_slice(tmp_path, "SeattleData_1.txt", SECONDS)
    assert next(LatencyTrace.open(tmp_path, unit="milliseconds").rows(node=0)) == (0, [(1, 0.02), (2, None)])


def test_slices_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 100, 2):
        write_slice(tmp_path, f"PlanetLabData_{number}.txt.gz", f"0\t{number}\n{number}\t0\n")
    write_slice(tmp_path, "README.md", "not a slice")
    assert list(LatencyTrace.open(tmp_path).rows(node=0)) == [
        (0, [(1, 2.0)]),
        (1, [(1, 9.0)]),
        (2, [(1, 10.0)]),
        (3, [(1, 100.0)]),
    ]


@pytest.mark.parametrize("node", [-1, 3])
def test_a_node_the_trace_has_not_is_refused_at_once(tmp_path: Path, node: int) -> None:
    write_slice(tmp_path, "mine_1.txt", MILLISECONDS)
    with pytest.raises(MisuseError, match="nodes 0 to 2") as caught:
        LatencyTrace.open(tmp_path).rows(node)
    assert caught.value.reason == "no_such_node"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("0\t1\n1\tx\n", 2, "a value is not a number"),
        ("0\t1\n1\t-2\n", 2, "negative or not finite"),
        ("0\tnan\n1\t0\n", 1, "negative or not finite"),
        ("0\tinf\n1\t0\n", 1, "negative or not finite"),
        ("0\t1\t2\n1\t0\n", 1, "3 values where a square matrix has 2"),
        ("0\t1\n1\n", 2, "1 values where a square matrix has 2"),
        ("0\t1\n\n1\t0\n", 1, "2 values where a square matrix has 3"),
        ("7\n", 1, "at least two nodes"),
        ("", 0, "at least two nodes"),
    ],
)
def test_a_malformed_first_slice_is_refused_by_file_and_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    write_slice(tmp_path, "mine_1.txt", text)
    error = refusal(tmp_path)
    assert f"mine_1.txt, line {line}: " in str(error)
    assert what in str(error)
    assert (error.file, error.reason) == (str(tmp_path / "mine_1.txt"), "malformed_trace")


def test_a_later_slice_of_another_size_is_refused_when_it_is_reached(tmp_path: Path) -> None:
    write_slice(tmp_path, "mine_1.txt", MILLISECONDS)
    write_slice(tmp_path, "mine_2.txt", "0\t1\n1\t0\n")
    rows = LatencyTrace.open(tmp_path).rows(node=0)
    assert next(rows)[0] == 0
    with pytest.raises(MisuseError, match=r"mine_2\.txt, line 2: the file ends after 2 lines, the first slice has 3"):
        next(rows)


@pytest.mark.parametrize(
    "content",
    # Without a time in it the compressed form, and so the test's name, is always the same.
    [
        b"0\t1\n1\t0\n",
        gzip.compress(SECONDS.encode(), mtime=0)[:-9],
        gzip.compress(b"0\t1\n", mtime=0)[:12] + b"\xff" * 20,
    ],
)
def test_broken_compression_is_refused_by_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine_1.txt.gz").write_bytes(content)
    error = refusal(tmp_path)
    assert "mine_1.txt.gz cannot be read" in str(error)
    assert error.reason == "malformed_trace"


def test_a_slice_that_unpacks_to_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine_1.txt.gz").write_bytes(gzip.compress(bytes(SLICE_BYTES_MAX + 1), compresslevel=1))
    assert f"more than {SLICE_BYTES_MAX} bytes" in str(refusal(tmp_path))


def test_a_folder_without_slices_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path).reason == "no_trace"
    assert refusal(tmp_path / "absent").reason == "no_trace"


def test_two_data_sets_in_one_folder_are_refused(tmp_path: Path) -> None:
    write_slice(tmp_path, "mine_1.txt", MILLISECONDS)
    write_slice(tmp_path, "yours_1.txt", MILLISECONDS)
    assert refusal(tmp_path).reason == "mixed_trace"


def test_the_seattle_trace_has_99_nodes_413_slices_and_its_known_failures() -> None:
    trace = LatencyTrace.open(shared_data("net-latency", "seattle"))
    assert (trace.node_count, trace.slices, trace.unit) == (99, 413, "seconds")
    index, row = next(trace.rows(node=0))
    assert (index, len(row), row[0], row[4], row[5]) == (0, 98, (1, 170.0), (5, 300.0), (6, None))


def test_the_planetlab_trace_has_490_nodes_3_slices_and_no_failure() -> None:
    trace = LatencyTrace.open(shared_data("net-latency", "planetlab"))
    assert (trace.node_count, trace.slices, trace.unit) == (490, 3, "milliseconds")
    rows = dict(trace.rows(node=0))
    assert [row[0] for row in rows.values()] == [(1, 0.175), (1, 0.162), rows[2][0]]
    assert all(rtt_ms is not None for row in rows.values() for _, rtt_ms in row)
