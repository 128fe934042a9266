"""`qwell support`: led from a complaint or a log to a verified fix, in the terminal.

Standard library only. A server that runs is asked, for only it can restart its worker; without one
everything happens in this process.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
from collections.abc import Mapping
from typing import Any

from qwell.cli.doctor import system_of
from qwell.cli.given_text import given_text
from qwell.cli.language import Language, preferred, writes_utf8
from qwell.cli.support_desk import Desk, Event, LocalDesk, ServerDesk
from qwell.cli.support_view import View, word
from qwell.errors import QwellError

_FINAL = ("fixed", "no_fault", "handed_over")
_AGREE = ("y", "yes", "是", "好", "好的", "执行")


def run(options: argparse.Namespace) -> int:
    """Exit code: 0 fixed or nothing wrong, 1 not solved, 2 an error."""
    language = preferred()
    desk = _desk(options, language)
    try:
        return _Talk(desk, language, as_json=options.json).run(options)
    except QwellError as error:
        if not options.undo or error.fault != "invalid-request-body":
            raise
        print(word("no_undo", language, case=options.case or ""), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{word('case', language, case=desk.case)}" if desk.case else "", file=sys.stderr)
        return 1


def _desk(options: argparse.Namespace, language: Language) -> Desk:
    system = system_of(options)
    if options.url or system.facts:
        return ServerDesk(system.url, system.api_key, options.lang or language, options.case or "")
    return LocalDesk(lambda: system_of(options), language, options.case or "")


class _Talk:
    """Reads from the terminal, or whatever stands for it, until the case has ended."""

    def __init__(self, desk: Desk, language: Language, *, as_json: bool) -> None:
        self._desk = desk
        self._language = language
        self._view = View(language)
        self._as_json = as_json
        self._ask: Event | None = None
        self._remedy = ""
        self._can_undo = False
        self._is_undone = False

    def run(self, options: argparse.Namespace) -> int:
        body = self._first(options)
        while body is not None:
            end = self._turn(body)
            if end.get("type") != "done":
                return 2
            if body.get("choice") == "undo":
                return 0 if self._is_undone else 1
            if end["state"] == "fixed" and self._can_undo:
                self._tell("undo_later", case=self._desk.case)
            if end["state"] in _FINAL:
                return self._leave(end)
            body = self._next(str(end["state"]))
        self._tell("case", case=self._desk.case)
        if self._can_undo:
            self._tell("undo_later", case=self._desk.case)
        return 1

    def _turn(self, body: Mapping[str, Any]) -> Event:
        """Its last event; something else where the server went in the middle of it."""
        last: Event = {}

        def show(event: Event) -> None:
            nonlocal last
            last = event
            self._show(event)

        try:
            self._desk.turn(body, show)
        except (OSError, http.client.HTTPException):
            last = {}
        if last.get("type") not in ("done", "error"):
            self._tell("lost", case=self._desk.case)
        return last

    def _first(self, options: argparse.Namespace) -> Mapping[str, Any] | None:
        if options.undo:
            return {"choice": "undo"}
        if options.case and not options.file:
            return self._taken_up()
        if options.file:
            return {"text": _text(options.file)}
        return self._words()

    def _words(self) -> Mapping[str, Any] | None:
        self._tell("what")
        text = _paragraph()
        return {"text": text} if text.strip() else None

    def _taken_up(self) -> Mapping[str, Any] | None:
        """Go on with a case: its last turn again, then the answer to it."""
        end: Event = {}
        for end in self._desk.last_turn():
            self._show(end)
        if end.get("type") == "error":
            return self._words()
        state = str(end.get("state", ""))
        return self._next(state) if state and state not in _FINAL else None

    def _show(self, event: Event) -> None:
        if event["type"] == "ask":
            self._ask = event
        elif event["type"] == "remedy":
            self._remedy = event["remedy"]
        elif event["type"] == "treated":
            self._can_undo = event["can_undo"]
        elif event["type"] == "say":
            self._is_undone = event["key"] == "undone"
        if self._as_json:
            print(json.dumps(event, ensure_ascii=not writes_utf8()), flush=True)
        else:
            self._view.show(event)

    def _next(self, state: str) -> Mapping[str, Any] | None:
        """What the person sends; None when there is nobody any more."""
        if self._as_json:
            return _json_line()
        if state == "awaiting_consent":
            return self._consent()
        return self._answer()

    def _consent(self) -> Mapping[str, Any] | None:
        """Only a plain yes is one."""
        said = _line(word("consent", self._language))
        if said is None:
            return None
        is_yes = said.strip().lower() in _AGREE
        return {"consent": self._remedy} if is_yes else {"choice": "decline"}

    def _answer(self) -> Mapping[str, Any] | None:
        assert self._ask is not None
        choices = self._view.choices_of(self._ask)
        said = _line(word("answer", self._language))
        if said is None:
            return None
        if said.strip().isdigit() and 0 < int(said) <= len(choices):
            return {"choice": choices[int(said) - 1]["id"]}
        return {"text": said + "\n" + _paragraph() if _looks_pasted(said) else said}

    def _leave(self, end: Event) -> int:
        if end["state"] == "handed_over" and not self._as_json:
            self._tell("bundle", path=self._desk.bundle())
        return 1 if end["state"] == "handed_over" else 0

    def _tell(self, name: str, **facts: str) -> None:
        if not self._as_json:
            print(word(name, self._language, **facts), file=sys.stderr, flush=True)


def _text(name: str) -> str:
    return given_text(
        name,
        expected="a file with a symptom, a log, or both; - for standard input",
        fix="docker logs CONTAINER > log.txt 2>&1; qwell support log.txt",
    ).text


def _line(prompt: str) -> str | None:
    """None at the end of input."""
    try:
        return input(prompt)
    except EOFError:
        if prompt:
            print()  # what comes next begins a line of its own
        return None


def _paragraph() -> str:
    """Lines up to an empty one, or to the end."""
    lines: list[str] = []
    while (line := _line("")) is not None and line.strip():
        lines.append(line)
    return "\n".join(lines)


def _looks_pasted(line: str) -> bool:
    """The first line of a log rather than an answer of one line."""
    from qwell.doctor.read_lines import split

    return any(not part.is_prose for part in split(line))


def _json_line() -> Mapping[str, Any] | None:
    """One turn from standard input: an object as POST /api/support takes it, or words."""
    line = sys.stdin.readline()
    if not line.strip():
        return None
    try:
        body = json.loads(line)
    except ValueError:
        return {"text": line.strip()}
    return body if isinstance(body, dict) else {"text": line.strip()}
