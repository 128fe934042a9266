"""What a person says is not so: "the port is not in use", "no 'Killed' in the log", "没有被占用".

A negation denies what would be said without it. Where the message needs its negation ("no space
left", "not found", "没有挂载") nothing is denied. Only for words of a person: programs mean what
they print. Knows no fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from qwell.doctor.read_pattern import compiled

_FILLER_ZH = (
    r"(?:有|再|也|都|曾|任何|什么|一行|一条|这个|那个|这种|过|出现|发现|发生|看到|见到|找到|报|提示"
    r"|说|显示|打印|日志|消息|错误|报错|里|中|的|是|被|因为|存在|[\s\"'“”\u2018\u2019「『:：`\[])*"
)
_FILLER_EN = (
    r"(?:\W+(?:a|an|any|the|such|more|sign|signs|trace|mention|of|line|lines|message|messages|error"
    r"|errors|see|saw|seen|find|found|get|got|have|had|been|say|says|said|show|shows|report|reports"
    r"|print|prints|contain|contains|mention|mentions|log|logs|in|it|that|there|which|saying|with"
    r"|like|reading|currently|already|being|actually|really|anything|output|entry|kernel|journal"
    r"|dmesg|is|was))*\W*"
)
# no question ("是不是", "有没有"), and nothing that cannot be done ("could not resolve")
_NO_ZH = (
    r"(?:(?<!有)并?没有?|并未|未见|未曾|未|(?<!是)并?不是|并非|并不|不存在|看不到|看不见|查不到|不再"
    r"|排除了?)"
)
_IS_NOT = (
    r"\b(?:(?:is|are|was|were|been)\s+(?:not|never)\b|(?:is|are|was|were)n['\u2019]t\b)"
    r"(?!\s+(?:found|installed|available|supported|recogni[sz]ed|allowed|valid|defined|able|set)\b)"
)
_NO_EN = (
    rf"(?:\b(?:no|none|without|neither|nor|zero|ruled\s+out|cannot\s+(?:see|find)|excluded)\b|{_IS_NOT}"
    r"|(?:\bnever|\b(?:do|does|did|have|has|had|could|can)(?:\s*not|n['\u2019]t))\s+"
    r"(?:see|find|get|have|show|contain|say|mention|report|print|log|been|seen|saw|found|got|had)\b)"
)
_BEFORE = re.compile(rf"(?:{_NO_ZH}{_FILLER_ZH}|{_NO_EN}{_FILLER_EN})$", re.IGNORECASE)
_WITHIN = re.compile(
    rf"(?:{_NO_ZH}(?=(?:有|被|再|在|出现|发生|任何)*.{{1,4}}$)|{_IS_NOT}\s*(?=(?:\S+\s*){{1,3}}$))",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"""^["'”\u2019」』`\])\s]*(?:
      (?:的?(?:提示|消息|报错|错误|日志|记录|字样|情况|问题|现象))?(?:也|都|并|已经|已|我)*(?:没有?(?:出现|发生|看到|见到|找到|发现)|不存在|看不到|排除)
      |(?:\w+\s+){0,3}?(?:is|was|are|were|did|does|do|has|have|had)(?:\s+(?:not|never)|n['\u2019]t)\s+(?:there|present|appear|occur|exist|happen|shown?|seen|found|logged|printed|the\s+(?:case|problem|cause|reason)|it\b|been)
      |(?:\w+\s+){0,3}?(?:is|was|are|were)\s+(?:absent|nowhere|ruled\s+out|missing\s+from)
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_CLAUSE_END = re.compile(
    r"[,，;；。!！?？\n]|\.\s|\b(?:but|because|since|although|and then|so)\b"
    r"|但|因为(?!不)|所以|不过|却"
)


_NEGATION = re.compile(rf"{_NO_ZH}|{_NO_EN}|absent|nowhere|missing", re.IGNORECASE)


def denies(text: str) -> bool:
    """Whether there is any negation in it."""
    return _NEGATION.search(text) is not None


def without_denied(text: str, patterns: Iterable[str]) -> str:
    """The text without what it denies. patterns: those that may match."""
    spans: list[tuple[int, int]] = []
    for source in patterns:
        pattern = compiled(source)
        found = (denied_span(text, match, pattern) for match in pattern.finditer(text) if match[0])
        spans.extend(span for span in found if span)
    return _cut(text, spans)


def _cut(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text without the spans, which may overlap."""
    kept, position = [], 0
    for start, end in sorted(spans):
        kept.append(text[position : max(start, position)])
        position = max(position, end)
    return " ".join([*kept, text[position:]])


def denied_span(
    text: str, match: re.Match[str], pattern: re.Pattern[str]
) -> tuple[int, int] | None:
    """From the negation to the end of what it denies; None where nothing is denied."""
    start, end = match.span()
    clause = _clause_before(text, start)
    if before := _BEFORE.search(text, clause, start):
        return before.start(), end
    if after := _AFTER.search(text[end:]):
        return start, end + after.end()
    for inside in _WITHIN.finditer(match[0]):
        rest = match[0][: inside.start()] + match[0][inside.end() :]
        if pattern.search(rest):
            return start, end
    return None


def _clause_before(text: str, start: int) -> int:
    """Where the clause begins that the position is in."""
    ends = [found.end() for found in _CLAUSE_END.finditer(text, 0, start)]
    return ends[-1] if ends else 0
