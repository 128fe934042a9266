"""`qwell chat`: the engine in the terminal, without server and page: the minimal reproduction.

Ctrl-C stops the answer, not the chat; Ctrl-D or /exit leaves; /help lists the commands.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path

from qwell.cli.chat_words import COMMANDS, Words, words_for
from qwell.cli.language import preferred
from qwell.cli.line_editor import LineEditor, unechoed
from qwell.cli.local_worker import LocalWorker
from qwell.config import Settings, load
from qwell.core import Delta, Done, Event, Failed, Message, Notice
from qwell.errors import QwellError

_QUIET = "critical"  # a fault is told once, by this command: not also by the worker's log


def run(options: argparse.Namespace) -> int:
    """Without a terminal, or with a message, one question is answered."""
    from qwell import log

    settings, origins = load(vars(options))
    if origins["log_level"].source == "default":
        settings = replace(settings, log_level=_QUIET)
    log.configure("text", settings.log_level)
    system = [Message("system", options.system)] if options.system else []
    if options.message is None and sys.stdin.isatty() and not options.json:
        editor = LineEditor(None if options.no_history else _history_file(settings))
        with LocalWorker(settings) as worker:
            return Talk(worker, editor, words_for(preferred()), system).run()
    history = [*system, Message("user", _question(options.message))]
    return (_once_as_json if options.json else _once)(settings, history)


def _history_file(settings: Settings) -> Path:
    return settings.data_path / "chat_history"


def _question(message: str | None) -> str:
    """What was given, or all of standard input. Raises QwellError for nothing at all."""
    question = sys.stdin.read() if message is None else message
    if not question.strip():
        raise QwellError(
            "config-invalid",
            found="an empty question",
            expected="a question, as argument or on standard input",
            fix='qwell chat "Name three rivers in China."',
        )
    return question


def _once(settings: Settings, history: list[Message]) -> int:
    with LocalWorker(settings) as worker:
        _, end = _show_answer(worker, history, words_for(preferred()))
    return 0 if isinstance(end, Done) else 2


def _once_as_json(settings: Settings, history: list[Message]) -> int:
    """One object: the text and how it ended, or the fault."""
    try:
        with LocalWorker(settings) as worker:
            events = list(worker.answer(history))
    except QwellError as error:
        events = [Failed(code=error.fault, cause=error.found, fix=error.fix)]
    text = "".join(event.text for event in events if isinstance(event, Delta))
    end = events[-1]
    print(json.dumps({"text": text, **asdict(end)}, ensure_ascii=False))
    return 0 if isinstance(end, Done) else 2


class Talk:
    """Ask, answer, remember, until told to leave."""

    def __init__(
        self, worker: LocalWorker, editor: LineEditor, words: Words, system: list[Message]
    ) -> None:
        self._worker = worker
        self._editor = editor
        self._words = words
        self._system = system
        self._history: list[Message] = []

    def run(self) -> int:
        self._tell(self._words["hello"])
        for line in self._editor.lines():
            command, _, rest = line.partition(" ")
            if command == "/exit":
                break
            if line.startswith("/"):
                self._act(command, rest.strip())
            else:
                self._ask(line)
        return 0

    def _act(self, command: str, rest: str) -> None:
        match command:
            case "/new":
                self._history.clear()
                self._tell(self._words["new"])
            case "/retry":
                self._retry()
            case "/system":
                self._system = [Message("system", rest)] if rest else []
                self._tell(self._words["system"])
            case "/save":
                self._save(Path(rest or "chat.md").expanduser())
            case "/help":
                self._tell("\n".join(f"{name:<16}{self._words[name]}" for name in COMMANDS))
            case _:
                self._tell(self._words["unknown"].format(command))

    def _ask(self, question: str) -> None:
        self._history.append(Message("user", question))
        answer, end = _show_answer(self._worker, [*self._system, *self._history], self._words)
        if isinstance(end, Failed):
            self._history.pop()  # the question can be asked again
        else:
            self._history.append(Message("assistant", answer))

    def _retry(self) -> None:
        if not self._history:
            self._tell(self._words["nothing"])
            return
        *self._history, question, _ = self._history
        self._ask(question.content)

    def _save(self, path: Path) -> None:
        turns = [f"**{turn.role}**\n\n{turn.content}\n" for turn in self._system + self._history]
        try:
            path.write_text("\n".join(turns), encoding="utf-8")
        except OSError as error:
            self._tell(self._words["not saved"].format(path, error.strerror or error))
        else:
            self._tell(self._words["saved"].format(path))

    def _tell(self, text: str) -> None:
        print(text, file=sys.stderr)


def _show_answer(worker: LocalWorker, history: list[Message], words: Words) -> tuple[str, Event]:
    """Show text as it comes, and a line of numbers or the reason of a failure at its end."""
    from qwell.cli.markdown_stream import answer_stream

    pieces: list[str] = []
    notices: list[Notice] = []
    end: Event = Failed()
    with unechoed(), answer_stream() as shown:
        for event in worker.answer(history):
            match event:
                case Delta(text=text):
                    pieces.append(text)
                    shown.write(text)
                case Notice():
                    notices.append(event)
                case _:
                    end = event
    for notice in notices:
        print(f"[{words.get(notice.code, notice.code)}]", file=sys.stderr)
    _show_end(end, words)
    return "".join(pieces), end


def _show_end(end: Event, words: Words) -> None:
    if isinstance(end, Failed):
        from qwell.cli.failure import describe

        error = QwellError(end.code, found=end.cause, expected="an answer", fix=end.fix)
        print(describe(error), file=sys.stderr)
    elif isinstance(end, Done) and sys.stderr.isatty():
        used, spent = end.usage, end.timings
        numbers = words["numbers"].format(
            used.prompt_tokens, used.completion_tokens, spent.ttft_ms, spent.tok_s
        )
        line = f"[{words[end.reason]} · {numbers}]"
        print(line if "NO_COLOR" in os.environ else f"\x1b[2m{line}\x1b[0m", file=sys.stderr)
