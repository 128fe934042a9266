"""Turns pasted text into numbered lines: prefixes stripped, repetitions dropped, prose marked.

Formats: docker and compose, journald, syslog, JSON lines, nginx, uvicorn, browser console,
pip, tracebacks, and words of a person before, between or after them. Knows no fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace

from qwell.doctor.line import Line
from qwell.doctor.read_access import without_target
from qwell.doctor.read_pattern import without_digits

MOST_LINES = 1_500  # different ones that are read word by word
LONGEST_LINE = 1_200
_MADE_NAME = re.compile(r"(?<![^\W_])(?=[^\W\d_]*\d)[\w\-]{6,}")  # of requests, containers, users
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|\r")
_PREFIX = re.compile(
    r"""^\s*(?:
      (?P<container>[A-Za-z][\w.\-]{0,60}?)(?:[-_]\d+)?\s*\|\s  # compose
    | \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z\s                    # docker logs -t
    | [A-Z][a-z]{2}\s+\d+\s[\d:]{8}\s\S+\s[\w@.\-/]+(?:\[\d+\])?:\s  # journald, syslog
    | \[\s*\d+\.\d+\]\s                                         # kernel
    )""",
    re.VERBOSE,
)
_LOG_START = re.compile(
    r"""\s*(?:\[?\d{4}[-/]\d\d|\d\d:\d\d:\d\d|\d\d/\w{3}/\d{4}|\[[\w\s:.\-+]{3,40}\]|[{}<$\#|^*]|>\s?\d
      |[\w.\-]+@[\w.\-]+[:\s]|(?:INFO|WARN(?:ING)?|ERROR|DEBUG|FATAL|CRITICAL|TRACE|NOTICE|ERR|E\d{4})\b
      |File\s"|Traceback|at\s\S+\s?\(|---?>|Step\s\d|(?:docker|pip|curl|npm|sudo|kernel)[\s:](?:run|install|ERR|-|\w+:)
      |Collecting\s|LOG:\s|[a-z]+_[a-z_]+:\s|Loading\scheckpoint\sshards|.{0,60}\d{1,3}%\|\S*\||\w+=\S+\s\w+=|(?:[\w.]*(?:Error|Exception|Warning))\b\s?[:(]|\s{6,}\S|\S+:\d+\s)""",
    re.VERBOSE,
)
_LOG_ANYWHERE = re.compile(
    r"""\b\w*(?:Error|Exception|Warning)\b\s?[:(]|\[(?i:error|warn(?:ing)?|info|note|debug)\]|Errno|\berrno\b|https?://\S+:\d+|net::|\b0x[0-9a-f]{4}
    |\b[A-Z]{2,}_[A-Z_]{3,}\b|[\w\]]+\s?[=:]\s?["'{\[]|\.(?:py|js|ts|cpp|go|rs|so|sh)\b.{0,6}[:"\d)]|::\w+|\w\(\)|exited\swith
    |"(?:GET|POST|PUT|HEAD|OPTIONS|DELETE)\s""",
    re.VERBOSE,
)
_FUNCTION_WORDS = re.compile(
    r"\b(?:the|a|an|is|are|was|my|our|your|when|but|it|its|and|i|we|you|what|why|how|there|this|that"
    r"|only|after|before|while|every|each|always|never|although|because|if|does|doesn't|don't|can't)\b",
    re.IGNORECASE,
)
_CJK = re.compile(r"[\u4e00-\u9fff]")
_SENTENCE = re.compile(r"[A-Za-z']+[ ,;]+[A-Za-z']+[ ,;]+[A-Za-z']+")


def split(text: str) -> list[Line]:
    """Different lines in their order; of very many those that tell most."""
    return split_all(text)[0]


def split_all(text: str) -> tuple[list[Line], dict[int, str]]:
    """The lines of `split`, and by number the different ones for which there was no room.

    Of lines that differ in digits only the first is kept; where very many are left, of those that
    differ in names of things, too.
    """
    if "\x1b" in text or "\r" in text:
        text = _ANSI.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    different = _different(text)
    if len(different) > MOST_LINES:
        different = _without_ids(different)
    chosen = _most_telling(different)
    found = [line for n, raw in chosen.items() if (line := line_of(n, raw)) is not None]
    rest = (
        {}
        if len(chosen) == len(different)
        else {n: raw for n, raw in different.items() if n not in chosen}
    )
    return _without_logs_in_words(found), rest


def _different(text: str) -> dict[int, str]:
    """The first of lines that differ in digits only, by number; one after the other."""
    kept: dict[str, tuple[int, str]] = {}
    number, start, end = 0, 0, -1
    while end < len(text):
        number, start = number + 1, end + 1
        end = text.find("\n", start)
        end = end if end >= 0 else len(text)
        if end > start:
            raw = text[start : min(end, start + LONGEST_LINE)]
            kept.setdefault(without_digits(raw), (number, raw))
    return dict(kept.values())


def _without_ids(different: Mapping[int, str]) -> dict[int, str]:
    """The first of lines that differ in digits and in names made of them only."""
    kept: dict[str, tuple[int, str]] = {}
    for number, raw in different.items():
        kept.setdefault(without_digits(_MADE_NAME.sub("", raw)), (number, raw))
    return dict(kept.values())


def _without_logs_in_words(lines: list[Line]) -> list[Line]:
    """A person speaks first, or in Chinese, or at length: other lines among a log are its own."""
    in_log, marked = False, []
    for line in lines:
        in_log = in_log or not line.is_prose
        doubtful = line.is_prose and in_log and not _is_surely_prose(line.text)
        marked.append(replace(line, is_prose=False) if doubtful else line)
    return marked


def _is_surely_prose(text: str) -> bool:
    function_words = {word.lower() for word in _FUNCTION_WORDS.findall(text)}
    return len(_CJK.findall(text)) >= 8 or len(function_words) >= 4


TELLING = re.compile(
    r"err|fail|den|refus|kill|exce|not |no |can|un|miss|time|warn|fatal|abort|illegal|\b[45]\d\d\b",
    re.IGNORECASE,
)


def _most_telling(different: dict[int, str]) -> dict[int, str]:
    """As many as are read: the first, the last, and of the others those with words of trouble."""
    if len(different) <= MOST_LINES:
        return different
    quarter = MOST_LINES // 4
    numbers = list(different)
    head, middle, tail = numbers[:quarter], numbers[quarter:-quarter], numbers[-quarter:]
    telling: list[int] = []
    for number in reversed(middle):  # the last ones; where most tell, not all need a look
        if len(telling) == 2 * quarter:
            break
        if TELLING.search(different[number][:200]):
            telling.append(number)
    return {n: different[n] for n in (*head, *reversed(telling), *tail)}


def line_of(number: int, raw: str) -> Line | None:
    """None for one that is empty but for its prefix."""
    text = raw[:LONGEST_LINE]
    prefix = _PREFIX.match(text)
    container = ""
    is_json = text.startswith('{"')
    if prefix:
        container = prefix["container"] or ""
        text = text[prefix.end() :]
    elif is_json:
        text = _from_json(text)
    text = without_target(text.rstrip())
    if not text.strip():
        return None
    return Line(number, text, container, not (prefix or is_json) and _is_prose(text))


def _from_json(text: str) -> str:
    """The message of a JSON log line, else the line itself."""
    try:
        entry = json.loads(text)
    except ValueError:
        return text
    if not isinstance(entry, dict):
        return text
    words = [entry.get(key) for key in ("log", "message", "msg", "error", "err", "exception")]
    found = " ".join(str(word).strip() for word in words if word)
    named = entry.get("fault") or entry.get("code")
    if found and isinstance(named, str):
        found += f" fault={named}"
    return found or text


def _is_prose(text: str) -> bool:
    """A person wrote it: words in a sentence, or Chinese that is no message of a program."""
    n_chinese = len(_CJK.findall(text))
    function_words = {word.lower() for word in _FUNCTION_WORDS.findall(text)}
    if _LOG_START.match(text):
        return n_chinese > 0.3 * len(text) or len(function_words) >= 4
    if _LOG_ANYWHERE.search(text):
        n_words = text.count(" ")
        return n_chinese > 0.15 * len(text) or len(function_words) >= (1 if n_words > 9 else 2)
    return n_chinese >= 2 or bool(_SENTENCE.search(text)) or _is_short(text)


def _is_short(text: str) -> bool:
    """A few words without the signs that programs write."""
    return len(text) < 60 and not set(text) & set('=:[]{}<>|/\\"')
