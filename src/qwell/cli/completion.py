"""`qwell completion bash|zsh|fish`: a script that completes commands, flags and their values.

Made from the parser, so that it knows what the parser knows; needs nothing when it runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass

SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True, slots=True)
class Flag:
    """values: what may follow it; empty: anything, or nothing when it takes no value."""

    name: str
    about: str
    values: tuple[str, ...]
    takes_value: bool
    is_path: bool


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    about: str
    flags: tuple[Flag, ...]
    values: tuple[str, ...]  # of its first positional argument


def run(options: argparse.Namespace) -> int:
    """Prints the script; where it goes is in its first lines."""
    from qwell.cli.parser import build_parser

    scripts = {"bash": bash, "zsh": zsh, "fish": fish}
    print(scripts[options.shell](commands_of(build_parser())), end="")
    return 0


def commands_of(parser: argparse.ArgumentParser) -> list[Command]:
    actions = parser._actions  # noqa: SLF001  argparse has no public list of them
    subparsers = next(a for a in actions if isinstance(a, argparse._SubParsersAction))  # noqa: SLF001  the same
    about = {choice.dest: choice.help or "" for choice in subparsers._choices_actions}  # noqa: SLF001  the same
    return [_command(name, about.get(name, ""), sub) for name, sub in subparsers.choices.items()]


def _command(name: str, about: str, parser: argparse.ArgumentParser) -> Command:
    actions = parser._actions  # noqa: SLF001  the same
    flags = tuple(_flag(action) for action in actions if action.option_strings)
    positional = [a for a in actions if not a.option_strings and a.choices]
    values = tuple(str(c) for c in positional[0].choices or ()) if positional else ()
    return Command(name, about, flags, values)


def _flag(action: argparse.Action) -> Flag:
    """Settings keep their choices in the metavar: config.py is what refuses other values."""
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    values = tuple(metavar[1:-1].split(",")) if metavar.startswith("{") else ()
    name = action.option_strings[-1]
    is_path = name in ("--model", "--json") or name.endswith(("-dir", "-file"))
    return Flag(name, action.help or "", values, action.nargs != 0, is_path)


def bash(commands: Iterable[Command]) -> str:
    cases = "".join(_bash_case(command) for command in commands)
    names = " ".join(command.name for command in commands)
    return (
        "# bash completion for qwell; to use it always:\n"
        "#   qwell completion bash > ~/.local/share/bash-completion/completions/qwell\n"
        "_qwell() {\n"
        '    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"\n'
        "    local flags= values=\n"
        '    if [ "$COMP_CWORD" -eq 1 ]; then\n'
        f'        COMPREPLY=($(compgen -W "{names}" -- "$word"))\n'
        "        return\n"
        "    fi\n"
        '    case "${COMP_WORDS[1]}:$before" in\n'
        f"{cases}"
        "    esac\n"
        '    case "${COMP_WORDS[1]}" in\n'
        f"{''.join(_bash_flags(command) for command in commands)}"
        "    esac\n"
        '    COMPREPLY=($(compgen -W "$flags $values" -- "$word"))\n'
        '    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$word"))\n'
        "}\n"
        "complete -o filenames -F _qwell qwell\n"
    )


def _bash_case(command: Command) -> str:
    lines = []
    for flag in command.flags:
        if flag.values:
            reply = f'compgen -W "{" ".join(flag.values)}" -- "$word"'
        elif flag.is_path and flag.takes_value:
            reply = 'compgen -f -- "$word"'
        else:
            continue
        lines.append(f"        {command.name}:{flag.name}) COMPREPLY=($({reply})); return ;;\n")
    return "".join(lines)


def _bash_flags(command: Command) -> str:
    flags = " ".join(flag.name for flag in command.flags)
    values = " ".join(command.values)
    return f'        {command.name}) flags="{flags}" values="{values}" ;;\n'


def zsh(commands: Iterable[Command]) -> str:
    described = "".join(f"        {_quoted(f'{c.name}:{c.about}')}\n" for c in commands)
    cases = "".join(_zsh_case(command) for command in commands)
    return (
        "#compdef qwell\n"
        "# zsh completion for qwell; to use it always, into a folder of $fpath:\n"
        '#   qwell completion zsh > "${fpath[1]}/_qwell"\n'
        "_qwell() {\n"
        "    local -a commands=(\n"
        f"{described}"
        "    )\n"
        "    if (( CURRENT == 2 )); then\n"
        "        _describe command commands\n"
        "        return\n"
        "    fi\n"
        "    local command=$words[2]\n"
        "    shift words; (( CURRENT-- ))\n"
        "    case $command in\n"
        f"{cases}"
        "    esac\n"
        "}\n"
        "compdef _qwell qwell\n"
    )


def _zsh_case(command: Command) -> str:
    specs = [_zsh_flag(flag) for flag in command.flags]
    specs.append(
        _quoted(f"*:value:({' '.join(command.values)})" if command.values else "*:f:_files")
    )
    return f"        {command.name}) _arguments {' '.join(specs)} ;;\n"


def _zsh_flag(flag: Flag) -> str:
    about = flag.about.replace("[", "(").replace("]", ")").replace(":", "\\:")
    if not flag.takes_value:
        return _quoted(f"{flag.name}[{about}]")
    action = f"({' '.join(flag.values)})" if flag.values else "_files" if flag.is_path else " "
    return _quoted(f"{flag.name}[{about}]:value:{action}")


def fish(commands: Iterable[Command]) -> str:
    head = (
        "# fish completion for qwell; to use it always:\n"
        "#   qwell completion fish > ~/.config/fish/completions/qwell.fish\n"
        "complete -c qwell -f\n"
    )
    return head + "".join(line for command in commands for line in _fish_lines(command))


def _fish_lines(command: Command) -> Iterable[str]:
    yield (
        f"complete -c qwell -n __fish_use_subcommand -a {command.name} "
        f"-d {_quoted(command.about)}\n"
    )
    when = f"-n '__fish_seen_subcommand_from {command.name}'"
    if command.values:
        yield f"complete -c qwell {when} -a {_quoted(' '.join(command.values))}\n"
    for flag in command.flags:
        yield f"complete -c qwell {when} -l {flag.name[2:]} {_fish_value(flag)}\n"


def _fish_value(flag: Flag) -> str:
    about = f"-d {_quoted(flag.about)}"
    if flag.values:
        return f"-x -a {_quoted(' '.join(flag.values))} {about}"
    if not flag.takes_value:
        return about
    return f"-r -F {about}" if flag.is_path else f"-x {about}"


def _quoted(text: str) -> str:
    """For all three shells: in single quotes, with typographic ones inside."""
    return "'" + text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}") + "'"
