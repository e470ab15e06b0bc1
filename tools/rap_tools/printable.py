"""Making text from elsewhere safe to print: what peers, workloads and documents wrote must not steer a terminal.

Rules this file keeps:

- What is not printable (control characters, format characters such as those that turn the direction of writing, line separators,
  lone surrogates, characters without a meaning) is written as an escape, `\\x1b` or `\\u202e`.
- A backslash is doubled, so that an escape can be told from text that looks like one.
- Nothing else is changed. That brackets mean nothing to the library that colours text is the business of `text_output`.

Example::

    assert printable("a\\x1b[2Jb") == "a\\\\x1b[2Jb"
"""

ELLIPSIS = "…"


def printable(text: str) -> str:
    """`text` with everything that a terminal might act on escaped."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(character if character.isprintable() and character != "\\" else _escape(character) for character in text)


def shortened(text: str, length_max: int) -> str:
    """`text`, cut to `length_max` characters, the last of which then is an ellipsis."""
    return text if len(text) <= length_max else text[: length_max - 1] + ELLIPSIS


def counted(number: int, noun: str) -> str:
    """How many of something there are: 1 segment, 2 segments."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _escape(character: str) -> str:
    code = ord(character)
    if character == "\\":
        return "\\\\"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
