"""The filter for the agent's log: what is hidden, in which spellings, and that nothing is lost but secrets."""

import copy
import io
import json
import logging
import pickle
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_plus

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rap_journal.errors import MisuseError
from rap_projections import SecretFilter
from rap_projections.log_filter import HIDDEN, HIDDEN_BYTES_MIN
from tests.canary import Canary

SECRET = bytes(range(0xE0, 0x100))
OTHER = "correct horse battery staple"


class Log:
    """A logger with one handler, and what it wrote."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.keeper = SecretFilter()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.addFilter(self.keeper)
        self.logger = logging.getLogger("tests.log_filter")
        self.logger.propagate = False
        self.logger.setLevel(logging.INFO)
        self.logger.handlers[:] = [self.handler]

    @property
    def text(self) -> str:
        return self.stream.getvalue()


@pytest.fixture
def log() -> Iterator[Log]:
    it = Log()
    it.keeper.hide(SECRET)
    it.keeper.hide(OTHER)
    yield it
    it.handler.close()


SHOWN: dict[str, tuple[str, tuple[Any, ...]]] = {
    "bytes": ("key %r", (SECRET,)),
    "bytes as text": ("key %s", (SECRET,)),
    "hex": ("key %s", (SECRET.hex(),)),
    "HEX": (f"key {SECRET.hex().upper()}", ()),
    "base64": ("key %s", ("4OHi4+Tl5ufo6err7O3u7/Dx8vP09fb3+Pn6+/z9/v8=",)),
    "base64url": ("key %s", ("4OHi4-Tl5ufo6err7O3u7_Dx8vP09fb3-Pn6-_z9_v8",)),
    "in a dictionary": ("config %s", ({"key": SECRET, "name": OTHER},)),
    "named": ("config %(key)r", ({"key": SECRET},)),
    "a text": ("passphrase %s", (OTHER,)),
    "a bytearray": ("key %r", (bytearray(SECRET),)),
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_secret_is_in_no_message_and_what_stands_beside_it_is(log: Log, name: str) -> None:
    """Mutation: without the filter every one of these shows it."""
    message, arguments = SHOWN[name]
    log.logger.warning(message, *arguments)
    assert Canary({"secret": SECRET, "other": OTHER.encode()}).found_in(log.text.encode()) == []
    assert log.text.startswith(message.partition(" ")[0])


def test_a_secret_is_in_no_exception_and_no_stack_trace(log: Log) -> None:
    def fail() -> None:
        try:
            raise ValueError(f"wrong key: {SECRET!r}")
        except ValueError as error:
            raise RuntimeError(f"for {OTHER}") from error

    try:
        fail()
    except RuntimeError:
        log.logger.exception("opening failed", stack_info=True)
    assert Canary({"secret": SECRET, "other": OTHER.encode()}).found_in(log.text.encode()) == []
    assert (
        "ValueError: wrong key: " in log.text and f"RuntimeError: for {HIDDEN}" in log.text and "Stack (most recent" in log.text
    )


def test_what_is_left_of_an_exception_is_its_text(log: Log) -> None:
    """A handler that took the exception itself showed what the record's text no longer did."""
    seen: list[logging.LogRecord] = []

    class Other(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    other = Other()
    other.addFilter(log.keeper)
    log.logger.handlers[:] = [other]
    try:
        raise ValueError(f"for {OTHER}")
    except ValueError:
        log.logger.exception("opening failed")
    assert seen[0].exc_info is None and (seen[0].exc_text or "").endswith(f"ValueError: for {HIDDEN}")


def test_a_secret_is_in_no_field_of_the_caller_s(log: Log) -> None:
    """Mutation: a field given as `extra` was shown as it came."""
    log.handler.setFormatter(logging.Formatter("%(message)s %(token)s %(inner)s %(count)s %(odd)s"))

    class Odd:
        def __repr__(self) -> str:
            raise ZeroDivisionError(OTHER)

    log.logger.info("connected", extra={"token": OTHER, "inner": {"key": SECRET, "name": "x"}, "count": 3, "odd": Odd()})
    assert log.text == f"connected {HIDDEN} {{'key': {HIDDEN}, 'name': 'x'}} 3 {HIDDEN}\n"


@pytest.mark.parametrize("secret", ['quoted " and \\ back', "tab\tand & more = 1", "gr\u00fc\u00dfe \u4e16\u754c"])
@pytest.mark.parametrize("spell", [repr, json.dumps, quote_plus, lambda text: json.dumps(text, ensure_ascii=False)])
def test_a_text_is_hidden_as_python_json_and_an_address_spell_it(log: Log, secret: str, spell: Callable[[str], str]) -> None:
    log.keeper.hide(secret)
    log.logger.info("to %s", spell(secret))
    assert log.text.strip("\n'\"").replace('"', "").replace("'", "") == f"to {HIDDEN}"


@pytest.mark.parametrize("ending", ["", "cut off"])
def test_a_private_key_in_pem_is_hidden_though_nobody_named_it(ending: str) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    log = Log()
    log.logger.info("made %s and went on", pem[:60] if ending else pem)
    assert log.text == (f"made {HIDDEN}\n" if ending else f"made {HIDDEN}\n and went on\n")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"", "<0 bytes>"), (b"a'b\"c\\", "<6 bytes>"), (b"\x00\xff\n", "<3 bytes>"), ([b"ab", b"cd"], "[<2 bytes>, <2 bytes>]"),
        ("blob", "blob"), ("b'", "b'"), (12, "12"),
    ],
)  # fmt: skip
def test_byte_strings_are_shown_by_their_length(log: Log, value: object, shown: str) -> None:
    log.logger.info("%s", value)
    assert log.text == shown + "\n"


def test_what_holds_no_secret_is_written_as_it_is(log: Log) -> None:
    log.logger.info("cluster %s at LSN %d, %r, 100%%", "eu-west-1", 17, "a 'quoted' text")
    log.logger.info("100% plain")
    assert log.text == "cluster eu-west-1 at LSN 17, \"a 'quoted' text\", 100%\n100% plain\n"


def test_a_message_that_cannot_be_put_together_shows_none_of_its_arguments(log: Log) -> None:
    class Broken:
        def __str__(self) -> str:
            raise ZeroDivisionError(OTHER)

    log.logger.info("%s", Broken())
    log.logger.info("%d", SECRET)
    assert log.text == f"{HIDDEN}: this message could not be put together\n" * 2


def test_what_a_child_logs_passes_the_handlers_filter_too(log: Log) -> None:
    log.logger.getChild("child").warning("key %s", SECRET.hex())
    assert log.text == f"key {HIDDEN}\n"


def test_a_secret_that_would_be_found_by_chance_is_refused() -> None:
    keeper = SecretFilter()
    with pytest.raises(MisuseError) as caught:
        keeper.hide(b"x" * (HIDDEN_BYTES_MIN - 1))
    assert caught.value.reason == "too_short" and "x" * (HIDDEN_BYTES_MIN - 1) not in str(caught.value)
    keeper.hide(b"x" * HIDDEN_BYTES_MIN)


def test_the_filter_itself_shows_nothing(log: Log) -> None:
    assert (repr(log.keeper), str(log.keeper)) == ("SecretFilter()", "SecretFilter()")


@pytest.mark.parametrize("leave", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_filter_is_neither_pickled_nor_copied_with_what_it_hides(leave: Callable[[object], object]) -> None:
    """A pickle of it held every secret that it was told of, in every spelling."""
    keeper = SecretFilter()
    keeper.hide("correct horse battery staple")
    with pytest.raises(TypeError, match="a SecretFilter holds secrets and cannot be copied or pickled"):
        leave(keeper)
