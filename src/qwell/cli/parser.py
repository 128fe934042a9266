"""Every command and flag once. Flags of settings come from config.py's fields."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterable
from dataclasses import Field, fields
from difflib import get_close_matches
from typing import Any, NoReturn

import qwell
from qwell.bench.workload import Workload
from qwell.cli import (
    backup,
    bench,
    bundle,
    chat,
    completion,
    diagnose,
    doctor,
    explain,
    health,
    lab,
    models,
    pull,
    serve,
    support,
    version,
)
from qwell.config import Settings
from qwell.doctor.finding import LAYERS
from qwell.errors import QwellError

_ALMOST = 0.7  # of the letters
_OF_THE_DOCTOR = (
    "host", "port", "model", "engine", "quant", "ctx_size", "parallel", "threads", "data_dir",
    "cache_dir", "api_key", "api_key_file",
)  # fmt: skip
_OF_THE_MODEL = ("model", "engine", "quant", "ctx_size", "threads", "cache_dir", "log_level")


class _Command(argparse.ArgumentParser):
    """Takes the names of a list also after flags, where argparse takes them only before.

    What it cannot read is an error as all others are: found, expected, fix.
    """

    def error(self, message: str) -> NoReturn:
        raise QwellError(
            "config-invalid",
            found=message,
            expected=self._expected(message),
            fix=f"see `{self.prog} --help`",
        )

    def _expected(self, message: str) -> str:
        """What was probably meant, where something is spelled almost so."""
        known = [*self._option_string_actions, *self._commands()]
        for word in re.findall(r"[\w-]+", message.partition("(choose")[0]):
            if word not in known and (close := get_close_matches(word, known, n=1, cutoff=_ALMOST)):
                return f"did you mean {close[0]}?"
        return "what the help lists"

    def _commands(self) -> Iterable[str]:
        for positional in self._get_positional_actions():
            yield from positional.choices or ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        found, left = super().parse_known_args(args, namespace)
        for positional in self._get_positional_actions():
            if positional.nargs == "*":
                names = [word for word in left if not word.startswith("-")]
                setattr(found, positional.dest, [*getattr(found, positional.dest), *names])
                left = [word for word in left if word.startswith("-")]
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}")
        return found, left


def build_parser() -> argparse.ArgumentParser:
    parser = _Command(prog="qwell", description="Private streaming chat with Qwen2.5 on CPUs.")
    parser.add_argument("--version", action="version", version=f"qwell {qwell.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Command)
    _add_serve(commands)
    _add_chat(commands)
    _add_pull(commands)
    _add_models(commands)
    _add_health(commands)
    _add_doctor(commands)
    _add_diagnose(commands)
    _add_support(commands)
    _add_explain(commands)
    _add_bundle(commands)
    _add_backup(commands)
    _add_lab(commands)
    _add_bench(commands)
    _add_version(commands)
    _add_completion(commands)
    return parser


def _add_serve(commands: Any) -> None:
    command = _command(commands, "serve", serve.run, "serve the chat page and the API")
    _add_settings(command, (knob.name for knob in fields(Settings)))
    command.add_argument(
        "--print-config", action="store_true", help="print every setting and its origin, then exit"
    )


def _add_chat(commands: Any) -> None:
    command = _command(commands, "chat", chat.run, "chat in the terminal, without server and page")
    _add_settings(command, (*_OF_THE_MODEL, "data_dir"))
    command.add_argument("--system", help="the system prompt (default: the model's own)")
    command.add_argument("--no-history", action="store_true", help="do not keep what is typed")
    command.add_argument("--json", action="store_true", help="answer one question as JSON")
    command.add_argument("message", nargs="?", help="ask this one question, print the answer, exit")


def _add_pull(commands: Any) -> None:
    command = _command(commands, "pull", pull.run, "fetch, verify and prepare a model")
    _add_settings(command, ("quant", "cache_dir"))
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument(
        "model", nargs="?", help="path, repo id or auto (default: the setting `model`)"
    )


def _add_models(commands: Any) -> None:
    command = _command(commands, "models", models.run, "list, verify or remove fetched models")
    _add_settings(command, ("cache_dir",))
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--yes", action="store_true", help="remove without asking")
    command.add_argument(
        "action",
        nargs="?",
        choices=("list", "verify", "remove"),
        default="list",
        help="list, verify (compare all bytes with their digests) or remove; default list",
    )
    command.add_argument("name", nargs="?", help="model, file or path as listed (default: all)")


def _add_health(commands: Any) -> None:
    command = _command(
        commands, "health", health.run, "ask a running server: exit code 0 healthy, 1 not"
    )
    _add_settings(command, ("host", "port"))
    command.add_argument("--url", help="address of the server (default: from host and port)")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument(
        "--ready", action="store_true", help="healthy means: a token can come out now"
    )


def _add_doctor(commands: Any) -> None:
    command = _command(
        commands, "doctor", doctor.run, "look at machine, model and server; say what is wrong"
    )
    _add_settings(command, _OF_THE_DOCTOR)
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--deep", action="store_true", help="also what takes seconds")
    command.add_argument(
        "--layer", action="append", choices=LAYERS, help="only this layer; repeat for more"
    )
    command.add_argument("--fix", action="store_true", help="put right what can be put right")
    command.add_argument("--yes", action="store_true", help="agree to every fix beforehand")
    command.add_argument("--url", help="address of the server (default: from host and port)")
    command.add_argument("--bundle", help="diagnose this file of `qwell bundle`, not the machine")
    command.add_argument("--verbose", action="store_true", help="show every check")


def _add_diagnose(commands: Any) -> None:
    command = _command(commands, "diagnose", diagnose.run, "say what a symptom or a log means")
    _add_settings(command, _OF_THE_DOCTOR)
    command.add_argument(
        "file", nargs="?", default="-", help="text to read; - is standard input (default: -)"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--live", action="store_true", help="look at this machine, too")
    command.add_argument("--url", help="address of the server (default: from host and port)")


def _add_support(commands: Any) -> None:
    about = "be led from a complaint or a log to a verified fix"
    command = _command(commands, "support", support.run, about)
    _add_settings(command, _OF_THE_DOCTOR)
    command.add_argument("file", nargs="?", help="text to begin with; - is standard input")
    command.add_argument("--url", help="address of the server (default: from host and port)")
    command.add_argument("--case", help="go on with this case")
    command.add_argument("--undo", action="store_true", help="take back what fixed --case")
    command.add_argument("--json", action="store_true", help="print events as lines of JSON")


def _add_explain(commands: Any) -> None:
    command = _command(commands, "explain", explain.run, "explain a fault: cause, signs, cure")
    command.add_argument("fault", nargs="?", help="id of a fault (default: list all)")


def _add_bundle(commands: Any) -> None:
    command = _command(
        commands, "bundle", bundle.run, "collect what a helper needs, without secrets, in one file"
    )
    _add_settings(command, _OF_THE_DOCTOR)
    command.add_argument("--url", help="address of the server (default: from host and port)")
    command.add_argument("--output", default=".", help="folder for the file (default: this one)")


def _add_backup(commands: Any) -> None:
    command = _command(
        commands, "backup", backup.run_backup, "copy all conversations into a file, while serving"
    )
    _add_settings(command, ("data_dir", "database_url"))
    command.add_argument(
        "file", nargs="?", default=".", help="new file, or a folder for one (default: this one)"
    )
    command = _command(
        commands, "restore", backup.run_restore, "put a backup in the place of all conversations"
    )
    _add_settings(command, ("data_dir", "database_url"))
    command.add_argument("file", help="what `qwell backup` has made")


def _add_bench(commands: Any) -> None:
    command = _command(commands, "bench", bench.run, "measure this machine and its engine")
    _add_settings(command, ("model", "quant", "threads", "cache_dir"))
    command.add_argument(
        "--peers", action="store_true", help="also other engines on the same weights, in turn"
    )
    command.add_argument(
        "--peers-python", default="", metavar="PYTHON", help="of an environment that has the peers"
    )
    command.add_argument("--json", metavar="FILE", help="write the figures to this file, too")
    command.add_argument("--chart", metavar="FILE", help="draw how cost grows, as SVG")
    _add_plan(command)


def _add_plan(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--plan", action="store_true", help="also how many users a box serves, and what that costs"
    )
    plan = command.add_argument_group("plan")
    plan.add_argument("--figures", metavar="FILE", help="from these figures, without measuring")
    plan.add_argument("--users", type=int, default=100, help="people to serve (default: 100)")
    plan.add_argument(
        "--box-per-hour", type=float, default=0.02, help="price of a box (default: 0.02)"
    )
    for name, what in (
        ("prompt-tokens", "new tokens of a question"),
        ("answer-tokens", "tokens of an answer"),
        ("think-s", "seconds between answer and question"),
        ("ttft-s", "longest good wait for a first token"),
        ("tok-s", "slowest good answer, tokens a second"),
    ):
        value = getattr(Workload(), name.replace("-", "_"))
        plan.add_argument(
            f"--{name}", type=type(value), default=value, help=f"{what} (default: {value:g})"
        )


def _add_lab(commands: Any) -> None:
    about = "cause faults for real and score the doctor; needs the extra `lab`"
    command = _command(commands, "lab", lab.run, about)
    command.add_argument(
        "action", choices=("list", "run", "demo"), help="list, run, or demo: watch one fault"
    )
    command.add_argument("fault", nargs="*", help="faults, or fault/variant (default: all)")
    command.add_argument("--json", metavar="FILE", help="write the result to this file, too")
    command.add_argument("--report", metavar="FOLDER", help="write pages and pictures there")
    command.add_argument("--quick", action="store_true", help="the third that the tests run")
    command.add_argument(
        "--without-controls", action="store_true", help="do not try wrong fixes: half the time"
    )
    command.add_argument(
        "--minutes", type=float, default=math.inf, help="begin no scenario later (default: no end)"
    )
    command.add_argument(
        "--lanes", type=int, default=0, help="scenarios at a time (default: as suits the machine)"
    )
    command.add_argument("--pairs", type=int, default=20, help="pairs of faults (default: 20)")
    command.add_argument("--healthy", type=int, default=300, help="healthy runs (default: 300)")


def _add_version(commands: Any) -> None:
    command = _command(commands, "version", version.run, "print versions")
    command.add_argument("--json", action="store_true", help="print JSON")


def _add_completion(commands: Any) -> None:
    about = "print a script that completes commands in a shell"
    command = _command(commands, "completion", completion.run, about)
    command.add_argument("shell", choices=completion.SHELLS, help="bash, zsh or fish")


def _command(commands: Any, name: str, run: Any, about: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    command.add_argument("--lang", choices=("zh", "en"), help="language (default: the terminal's)")
    command.set_defaults(run=run)
    return command


def _add_settings(command: argparse.ArgumentParser, names: Iterable[str]) -> None:
    by_name = {knob.name: knob for knob in fields(Settings)}
    for name in names:
        _add_setting(command, by_name[name])


def _add_setting(command: argparse.ArgumentParser, knob: Field[Any]) -> None:
    """Values stay text here: config.py converts and refuses them, whatever their origin."""
    choices = knob.metadata["choices"]
    default = "" if knob.default in ("", ()) else f"; default {knob.default}"
    command.add_argument(
        f"--{knob.name.replace('_', '-')}",
        action="append" if knob.default == () else "store",
        metavar="{" + ",".join(choices) + "}" if choices else knob.name.upper(),
        help=f"{knob.metadata['help']} (QWELL_{knob.name.upper()}{default})",
    )
