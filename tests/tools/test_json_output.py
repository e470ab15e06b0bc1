"""What programs read: every object says what it is, a list that broke off is closed, and a cut-off file shows."""

import io
import json

from rap_tools.json_output import JsonWriter, head


def written(*, lines: bool, count: int, code: int = 0) -> str:
    stream = io.StringIO()
    writer = JsonWriter(stream, lines=lines)
    writer.begin(head("rap-state-log", "lab", 17, is_sealed=False), type="record", items="records")
    for lsn in range(1, count + 1):
        writer.item({"lsn": lsn})
    writer.end(code, cursor="lab@17")
    return stream.getvalue()


def test_a_list_is_one_object_with_head_items_and_tail() -> None:
    assert json.loads(written(lines=False, count=2)) == {
        "format": "rap-state-log",
        "format_version": 1,
        "cluster": "lab",
        "horizon": 17,
        "is_sealed": False,
        "records": [{"type": "record", "lsn": 1}, {"type": "record", "lsn": 2}],
        "record_count": 2,
        "cursor": "lab@17",
        "exit_code": 0,
    }


def test_an_empty_list_is_an_object_too() -> None:
    assert json.loads(written(lines=False, count=0, code=1)) | {"records": []} == json.loads(
        written(lines=False, count=0, code=1)
    )


def test_lines_start_with_a_header_and_end_with_an_end() -> None:
    found = [json.loads(line) for line in written(lines=True, count=2, code=7).splitlines()]
    assert [line["type"] for line in found] == ["header", "record", "record", "end"]
    assert found[0] == {
        "type": "header",
        "format": "rap-state-log",
        "format_version": 1,
        "cluster": "lab",
        "horizon": 17,
        "is_sealed": False,
    }
    assert found[-1] == {"type": "end", "record_count": 2, "cursor": "lab@17", "exit_code": 7}


def test_one_object_is_a_document_between_header_and_end() -> None:
    stream = io.StringIO()
    JsonWriter(stream, lines=True).document(head("rap-state-value", "lab", 17, value=3), 0)
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["type"] for line in found] == ["header", "document", "end"]
    assert found[1]["value"] == 3


def test_text_from_elsewhere_is_ascii() -> None:
    stream = io.StringIO()
    JsonWriter(stream, lines=False).document(head("x", None, None, text="\x1b[2J\u202e\x9b"))
    assert stream.getvalue().isascii()
    assert "\x1b" not in stream.getvalue()
    assert json.loads(stream.getvalue())["text"] == "\x1b[2J\u202e\x9b"


def test_nothing_is_closed_that_was_not_opened() -> None:
    stream = io.StringIO()
    JsonWriter(stream, lines=True).end(0)
    assert stream.getvalue() == ""
