"""A filter that keeps secrets out of the agent's own log. The store itself logs nothing.

Rules this file keeps:

- It changes what is written and never whether it is: a message with a secret in it is still a message.
- Byte strings are shown by their length, private keys in PEM not at all, and what it was told to hide in none of its usual spellings.
- Exceptions, stack traces and fields of the caller's (`extra`) pass it as well: that is where a secret is overlooked. What is left of an
  exception is its text, as a handler that takes the exception itself would show what its frames hold.
- It fails towards silence: what cannot be made into text is not shown.

It belongs on handlers: a filter on a logger is not asked for what its children log. It is a net and no wall: a secret cut in two, or spelled as
nobody does, passes.

Example::

    keeper = SecretFilter()
    keeper.hide(token)
    handler.addFilter(keeper)
"""

import json
import logging
import re
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

from rap_journal.errors import MisuseError
from rap_journal.sealing import SecretHolder
from rap_projections.arguments import require

HIDDEN_BYTES_MIN = 8
"""A shorter secret would be found by chance in what is none."""

HIDDEN = "<hidden>"

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_BYTES = re.compile(r"""\bb(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")""")
_ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|.)")

_FORMATTER = logging.Formatter()

_OWN_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
"""What every record has; all other fields are the caller's."""


class SecretFilter(SecretHolder, logging.Filter):
    """Rewrites what passes, so that no secret it knows of is in it."""

    def __init__(self) -> None:
        super().__init__()
        self._spellings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "SecretFilter()"

    def hide(self, secret: bytes | str) -> None:
        """Hide this from now on: as it is, in hexadecimal, in base64 of both alphabets, and as Python, JSON and an address show it.

        It is kept in memory as long as the filter is. Raises `MisuseError` for fewer than 8 bytes.
        """
        require("secret", secret, bytes, str)
        content = secret.encode() if isinstance(secret, str) else secret
        if len(content) < HIDDEN_BYTES_MIN:
            raise MisuseError(
                f"a secret of fewer than {HIDDEN_BYTES_MIN} bytes would be found by chance; nothing is hidden.",
                reason="too_short",
            )
        texts = {content.decode("latin-1"), content.decode(errors="replace")}
        spelled = texts | {
            content.hex(), content.hex().upper(), repr(content)[2:-1], quote(content), quote(content, safe=""), quote_plus(content),
            b64encode(content).decode().rstrip("="), urlsafe_b64encode(content).decode().rstrip("="),
        }  # fmt: skip
        for text in texts:
            spelled |= {repr(text)[1:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        # The longest first: what is left of one spelling must not be what another is found by.
        self._spellings = tuple(sorted(spelled.union(self._spellings), key=len, reverse=True))

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record's message, exception, stack trace and the caller's fields. Always True."""
        try:
            record.msg = self.redacted(record.getMessage())
        except Exception:  # noqa: BLE001 - whatever an argument's own code raises: the handler would show the arguments.
            record.msg = f"{HIDDEN}: this message could not be put together"
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = _FORMATTER.formatException(record.exc_info)
        record.exc_info = None
        if record.exc_text:
            # Formatters take this text where it is there, and make none of their own.
            record.exc_text = self.redacted(record.exc_text)
        if record.stack_info:
            record.stack_info = self.redacted(record.stack_info)
        for name in record.__dict__.keys() - _OWN_FIELDS:
            record.__dict__[name] = self._redacted_field(record.__dict__[name])
        return True

    def _redacted_field(self, value: object) -> object:
        """A value that shows nothing stays what it is; of any other the text is left."""
        if isinstance(value, str):
            return self.redacted(value)
        try:
            shown = repr(value)
        except Exception:  # noqa: BLE001 - as above.
            return HIDDEN
        redacted = self.redacted(shown)
        return value if redacted == shown else redacted

    def redacted(self, text: str) -> str:
        """`text` with nothing in it that is to be hidden."""
        for spelling in self._spellings:
            text = text.replace(spelling, HIDDEN)
        return _BYTES.sub(_by_length, _PRIVATE_KEY.sub(HIDDEN, text))


def _by_length(found: re.Match[str]) -> str:
    shown = found[1] if found[1] is not None else found[2]
    return HIDDEN if HIDDEN in shown else f"<{len(_ESCAPE.sub('.', shown))} bytes>"
