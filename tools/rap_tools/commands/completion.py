"""`rap-state completion`: a completion for bash, made from the parser itself.

Rules this file keeps: nothing is completed that the parser does not take; the script asks nothing of any store.

Example::

    source <(rap-state completion)
"""

import argparse
from collections.abc import Iterator

from rap_tools.command_line import PROGRAM, build_parser
from rap_tools.json_output import head
from rap_tools.session import Session


def run(session: Session) -> int:
    """Print the script."""
    script = bash_script()
    if session.is_text:
        session.stream.write(script)
    else:
        session.json().document(head("rap-state-completion", None, None, shell="bash", script=script))
    return 0


def bash_script() -> str:
    """The script: words per command, and the values of options that have a closed set of them."""
    parser = build_parser(with_demo=True)
    commands = _commands(parser)
    words = {
        "": [*commands, *_options(parser)],
        **{name: [*_options(command), *_positional_words(command)] for name, command in commands.items()},
    }
    values = {name: choices for command in (parser, *commands.values()) for name, choices in _valued(command)}
    takers = sorted({name for command in (parser, *commands.values()) for name in _takes_value(command)})
    return "\n".join(
        [
            f"# bash completion for {PROGRAM}; load it with: source <({PROGRAM} completion)",
            "_rap_state() {",
            '    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command="" word',
            "    COMPREPLY=()",
            '    case "$previous" in',
            *[
                f'        {name}) COMPREPLY=($(compgen -W "{" ".join(choices)}" -- "$current")); return ;;'
                for name, choices in sorted(values.items())
            ],
            f'        {"|".join(name for name in takers if name not in values)}) COMPREPLY=($(compgen -f -- "$current")); return ;;',
            "    esac",
            '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
            f'        case "$word" in {"|".join(commands)}) command=$word; break ;; esac',
            "    done",
            '    case "$command" in',
            *[
                f'        "{name}") COMPREPLY=($(compgen -W "{" ".join(found)}" -- "$current")) ;;'
                for name, found in words.items()
            ],
            "    esac",
            "}",
            f"complete -o default -F _rap_state {PROGRAM}",
            "",
        ]
    )


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next(dict(action.choices) for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return sorted(name for action in parser._actions for name in action.option_strings)


def _positional_words(parser: argparse.ArgumentParser) -> list[str]:
    return [str(choice) for action in parser._actions if not action.option_strings for choice in action.choices or ()]


def _valued(parser: argparse.ArgumentParser) -> Iterator[tuple[str, list[str]]]:
    for action in parser._actions:
        if action.choices is not None and action.option_strings:
            yield from ((name, [str(choice) for choice in action.choices]) for name in action.option_strings)


def _takes_value(parser: argparse.ArgumentParser) -> Iterator[str]:
    return (name for action in parser._actions if action.nargs != 0 for name in action.option_strings)
