"""A session says where output goes, which store and key are meant, and how wide the terminal is."""

import argparse
import io
from typing import Any

import pytest

from rap_journal.errors import MisuseError, NoSuchStore
from rap_journal.testing import ManualClock
from rap_tools.session import Session, find_root
from tests.tools.command import Disk


def session(*, environment: dict[str, str] | None = None, is_terminal: bool = False, **options: Any) -> Session:
    given = argparse.Namespace(**options)
    return Session(given, environment or {}, io.StringIO(), is_terminal, io.StringIO(), ManualClock(), lambda seconds: None)


@pytest.mark.parametrize(
    ("output", "form", "is_text"), [(None, "text", True), ("text", "text", True), ("ndjson", "ndjson", False)]
)
def test_the_form_is_text_unless_it_was_asked_for(output: str | None, form: str, is_text: bool) -> None:
    options: dict[str, Any] = {"output": output} if output else {}
    assert (session(**options).form, session(**options).is_text) == (form, is_text)


def test_an_option_comes_before_the_environment_and_what_is_empty_is_none() -> None:
    around = {"RAP_STATE_DIR": "/around", "RAP_STATE_KEY_FILE": "/around.key"}
    named = session(environment=around, root="/named", key_file="/named.key", cluster="lab")
    assert (named.root(), named.key_file, named.cluster) == ("/named", "/named.key", "lab")
    unnamed = session(environment=around)
    assert (unnamed.root(), unnamed.key_file, unnamed.cluster) == ("/around", "/around.key", None)
    empty = session(environment={"RAP_STATE_DIR": "", "RAP_STATE_KEY_FILE": ""}, cluster="")
    assert (empty.key_file, empty.cluster, find_root(empty.options, empty.environment)) == (None, None, None)


def test_a_kind_of_provider_that_the_environment_names_goes_before_its_key_file_and_not_before_the_option() -> None:
    around = {"RAP_STATE_KEY_FILE": "/around.key", "RAP_STATE_KEY_PROVIDER": "recovery_passphrase"}
    assert session(environment=around).key_file is None
    assert session(environment=around, key_file="/named.key").key_file == "/named.key"


def test_a_store_that_nobody_named_is_a_question() -> None:
    with pytest.raises(MisuseError, match="which store") as caught:
        session().root()
    assert caught.value.reason == "no_root"


def test_opening_the_store_takes_its_key_along(lab: Disk) -> None:
    with session(root=str(lab.root), key_file=str(lab.key_file)).open_store() as store:
        assert (store.has_keys, store.key_file, store.clusters()) == (True, str(lab.key_file), ("lab",))
    with session(root=str(lab.root)).open_store() as store:
        assert (store.has_keys, store.key_file) == (False, None)
    with pytest.raises(NoSuchStore):
        session(root="/absent/node").open_store()


@pytest.mark.parametrize(
    ("is_terminal", "environment", "options", "is_coloured"),
    [
        (True, {}, {}, True),
        (False, {}, {}, False),
        (True, {"NO_COLOR": "1"}, {}, False),
        (True, {"TERM": "dumb"}, {}, False),
        (True, {}, {"no_color": True}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    is_terminal: bool, environment: dict[str, str], options: dict[str, Any], is_coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    opened = session(environment=environment, is_terminal=is_terminal, **options)
    opened.text().line(("x", "red"))
    assert isinstance(opened.stream, io.StringIO)
    assert ("\x1b[" in opened.stream.getvalue()) is is_coloured


def test_only_a_terminal_has_a_width() -> None:
    assert session(environment={"COLUMNS": "72"}, is_terminal=True).width == 72
    assert session(environment={"COLUMNS": "72"}).width is None


def test_a_remark_is_for_people_and_goes_beside_the_result() -> None:
    text, json = session(), session(output="json")
    for opened in (text, json):
        opened.remark("mind \x1b")
        assert isinstance(opened.stream, io.StringIO) and opened.stream.getvalue() == ""
    assert isinstance(text.errors, io.StringIO) and text.errors.getvalue() == "mind \\x1b\n"
    assert isinstance(json.errors, io.StringIO) and json.errors.getvalue() == ""


def test_json_is_one_object_and_ndjson_lines() -> None:
    fields = {"format": "x", "format_version": 1, "cluster": None, "horizon": None}
    counts = []
    for form in ("json", "ndjson"):
        opened = session(output=form)
        opened.json().document(fields)
        assert isinstance(opened.stream, io.StringIO)
        counts.append(opened.stream.getvalue().count('"format"'))
    assert counts == [1, 2]
