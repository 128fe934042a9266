"""Turns pasted text into numbered lines: prefixes stripped, repetitions dropped, prose marked.

Formats: docker and compose, journald, syslog, JSON lines, nginx, uvicorn, browser console,
pip, tracebacks, and words of a person before, between or after them. Knows no fault.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

LONGEST_TEXT = 2_000_000  # characters; of a longer text the beginning and the end are read
MOST_LINES = 1_500  # different ones
LONGEST_LINE = 1_200
_REPEATED = str.maketrans("", "", "0123456789")
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


@dataclass(frozen=True, slots=True)
class Line:
    """number counts from 1 in the text as it was given; container is '' where unknown."""

    number: int
    text: str
    container: str = ""
    is_prose: bool = False


def split(text: str) -> list[Line]:
    """Different lines in their order. Of lines that differ in digits only the first is kept."""
    if "\x1b" in text or "\r" in text:
        text = _ANSI.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    kept: dict[str, int] = {}
    lines = _bounded(text)
    for number, raw in lines:
        if raw:
            kept.setdefault(raw[:200].translate(_REPEATED), number)
    by_number = dict(lines)
    numbers = sorted(kept.values())
    if len(numbers) > MOST_LINES:
        numbers = _most_telling(numbers, by_number)
    found = [line for number in numbers if (line := _line(number, by_number[number])) is not None]
    return _without_logs_in_words(found)


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


def _bounded(text: str) -> list[tuple[int, str]]:
    """Lines with their numbers; the middle of a text that is too long is left out."""
    if len(text) <= LONGEST_TEXT:
        return list(enumerate(text.split("\n"), 1))
    half = LONGEST_TEXT // 2
    head, tail = text[:half].split("\n"), text[-half:].split("\n")
    skipped = text.count("\n", 0, len(text) - half)
    return [*enumerate(head, 1), *enumerate(tail, skipped + 1)]


TELLING = re.compile(
    r"err|fail|den|refus|kill|exce|not |no |can|un|miss|time|warn|fatal|abort|illegal|\b[45]\d\d\b",
    re.IGNORECASE,
)


def _most_telling(numbers: list[int], text_of: dict[int, str]) -> list[int]:
    """As many as are read: the first, the last, and of the others those with words of trouble."""
    quarter = MOST_LINES // 4
    head, middle, tail = numbers[:quarter], numbers[quarter:-quarter], numbers[-quarter:]
    telling = [n for n in middle if TELLING.search(text_of[n][:200])]
    return [*head, *telling[-2 * quarter :], *tail]


def _line(number: int, raw: str) -> Line | None:
    text = raw[:LONGEST_LINE]
    prefix = _PREFIX.match(text)
    container = ""
    is_json = text.startswith('{"')
    if prefix:
        container = prefix["container"] or ""
        text = text[prefix.end() :]
    elif is_json:
        text = _from_json(text)
    text = text.rstrip()
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
