"""The events of a support dialogue as lines in the terminal, Chinese or English."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from qwell.cli.language import Language

Event = Mapping[str, Any]
_SHOWN = ("fail", "warn", "error")
_MARKS = {"pass": "✓", "fail": "✗", "warn": "!", "skip": "·", "error": "?"}
_PLAIN_MARKS = {"pass": "ok", "fail": "FAIL", "warn": "warn", "skip": "skip", "error": "?"}
_WORDS: dict[str, tuple[str, str]] = {
    "what": (
        "出了什么问题？可以粘贴日志，空行结束。",
        "What is wrong? A log may be pasted; end with an empty line.",
    ),
    "line": ("第 {line} 行", "line {line}"),
    "cause": ("诊断", "Diagnosis"),
    "not": ("已排除", "Ruled out"),
    "do": ("处理", "What to do"),
    "answer": ("编号，或直接写：", "A number, or words: "),
    "consent": ("执行吗？[y/N] ", "Do it? [y/N] "),
    "undo_later": (
        "可以恢复到处理之前：qwell support --case {case} --undo",
        "To take it back: qwell support --case {case} --undo",
    ),
    "no_undo": (
        "这次求助还没有解决什么，没有可恢复的：qwell support --case {case}",
        "Nothing has been fixed yet, to be taken back: qwell support --case {case}",
    ),
    "watch": ("等着看检查变绿", "Wait and watch the checks"),
    "checked": ("{n} 项检查通过", "{n} checks passed"),
    "case": (
        "这次求助的编号：{case}（qwell support --case {case} 可继续）",
        "This case is {case}; go on with: qwell support --case {case}",
    ),
    "lost": (
        "与服务的连接断了，已说的都保存着。服务恢复后用 qwell support --case {case} 继续。",
        "The connection to the server was lost; what was said is kept: qwell support --case {case}",
    ),
    "bundle": ("交给能帮忙的人的文件：{path}", "A file for whoever helps: {path}"),
    "meant": ("（可能是您的意思）", "(perhaps what you mean)"),
}


def word(name: str, language: Language, **facts: Any) -> str:
    zh, en = _WORDS[name]
    return (zh if language == "zh" else en).format(**facts)


class View:
    """Prints one turn after the other."""

    def __init__(self, language: Language, marks: Mapping[str, str] | None = None) -> None:
        self.language = language
        encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
        self._marks = marks or (_MARKS if encoding.startswith("utf") else _PLAIN_MARKS)
        self._n_passed = 0
        self._is_line = False
        self.can_watch = False  # a check looks whether the person's step has helped

    def show(self, event: Event) -> None:
        kind = event["type"]
        if kind != "check":
            self._count_passed()
        shower = getattr(self, f"_{kind}", None)
        if shower is not None:
            shower(event)

    def _count_passed(self) -> None:
        if self._n_passed:
            self._print(f"  {self._marks['pass']} {self._word('checked', n=self._n_passed)}")
            self._n_passed = 0

    def _say(self, event: Event) -> None:
        if event["key"] in ("manual", "manual_unseen", "came_back", "chat_untried"):
            self.can_watch = event["key"] != "manual_unseen"
        self._print(event["text"])

    def _check(self, event: Event) -> None:
        self._n_passed += event["status"] == "pass"
        if event["status"] in _SHOWN:
            self._verify(event)

    def _verify(self, event: Event) -> None:
        if event["status"] == "running":
            return
        title = event["title"][self.language]
        because = f": {event['because']}" if event.get("because") else ""
        self._print(f"  {self._marks[event['status']]} {title} ({event['check']}){because}")

    def _heard(self, event: Event) -> None:
        self._is_line = event["lines"] == 1

    def _evidence(self, event: Event) -> None:
        if self._is_line:
            return  # the one that was just typed
        for line in event["lines"]:
            where = self._word("line", line=line["line_in_part"])
            self._print(f"  {where}: {line['text']}")

    def _diagnosis(self, event: Event) -> None:
        fault = event["fault"]
        title = fault["title"][self.language]
        self._print(f"\n{self._word('cause')}: {title} [{fault['id']}, {fault['p']:.0%}]")
        for rival in fault["ruled_out"]:
            name = rival.get("title", {}).get(self.language, rival["id"])
            self._print(f"  {self._word('not')}: {name} [{rival['id']}] ({rival['because']})")

    def _remedy(self, event: Event) -> None:
        self._print(f"{self._word('do')}: {event['do'][self.language]}")
        for command in event["commands"]:
            self._print(f"    {command}")

    def _ask(self, event: Event) -> None:
        self._print(f"\n{event['text'][self.language]}")
        for number, choice in enumerate(self.choices_of(event), 1):
            hint = f" {self._word('meant')}" if choice["id"] == event["suggested"] else ""
            self._print(f"  {number}. {choice['label'][self.language]}{hint}")

    def choices_of(self, ask: Event) -> Sequence[Mapping[str, Any]]:
        """What may be chosen; while a person does something, also to wait and watch."""
        choices: list[Mapping[str, Any]] = list(ask["choices"])
        if ask["question"] == "outcome" and self.can_watch:
            zh, en = _WORDS["watch"]
            choices.append({"id": "watch", "label": {"zh": zh, "en": en}})
        return choices

    def _treated(self, event: Event) -> None:
        if event["because"]:
            self._print(f"  {event['result']}: {event['because']}")

    def _handover(self, event: Event) -> None:
        self._print(event["summary"][self.language])

    def _error(self, event: Event) -> None:
        self._print(f"{event['code']}: {event['cause']}. {event['fix']}")

    def _word(self, name: str, **facts: Any) -> str:
        return word(name, self.language, **facts)

    def _print(self, text: str) -> None:
        print(text, flush=True)
