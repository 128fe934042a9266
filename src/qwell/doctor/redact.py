"""Takes secrets and personal data out of text, and counts what it took.

Keys, tokens, passwords, e-mail addresses, IP addresses beyond this machine and the private
networks, and the user names in home paths. Linear in the length of the text.
"""

from __future__ import annotations

import re
from collections import Counter

_RULES: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("private-key", re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"), "[private key]"),
    (
        "token",
        re.compile(r"\b(?:hf|sk|gh[pousr]|xox[abp]|glpat|ms|AKIA)[-_]?[A-Za-z0-9_\-]{16,200}"),
        "[token]",
    ),
    (
        "token",
        re.compile(
            r"\beyJ[A-Za-z0-9_\-]{8,2000}\.[A-Za-z0-9_\-]{4,4000}(?:\.[A-Za-z0-9_\-]{4,2000})?"
        ),
        "[token]",
    ),
    (
        "authorization",
        re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{8,2000}"),
        r"\1 [token]",
    ),
    (
        "secret",
        re.compile(
            r"(?i)\b([\w\-]{0,40}(?:api[_-]?key|token|secret|passw(?:or)?d|pwd|credential)s?)"
            r"(\"?'?\s?[=:]\s?\"?'?)(?!\[)([^\s\"',;&}]{4,400})"
        ),
        r"\1\2[secret]",
    ),
    ("url-password", re.compile(r"(://[^\s:/@]{1,100}):[^\s@/]{1,200}@"), r"\1:[secret]@"),
    (
        "e-mail",
        re.compile(r"\b[\w.+\-]{1,64}@(?!sha256)[\w\-]{1,63}(?:\.[\w\-]{2,63}){1,5}\b"),
        "[e-mail]",
    ),
    (
        "address",
        re.compile(
            r"(?<![\d.])(?!127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|0\.0\.0\.0|255\.|169\.254\.)"
            r"(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"
        ),
        "[address]",
    ),
    (
        "home",
        re.compile(
            r"(?i)(/home/|/users/|\\users\\)(?!user\b|runner\b|app\b|worker\b)[\w.\-]{1,64}"
        ),
        r"\1[user]",
    ),
)


class Redactor:
    """Redacts texts and keeps one receipt of all of them: rule -> how often."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @property
    def receipt(self) -> dict[str, int]:
        return dict(self._counts)

    def redact(self, text: str) -> str:
        for name, pattern, replacement in _RULES:
            text, count = pattern.subn(replacement, text)
            if count:
                self._counts[name] += count
        return text


def redact(text: str) -> tuple[str, dict[str, int]]:
    """The text without secrets, and the receipt."""
    redactor = Redactor()
    return redactor.redact(text), redactor.receipt
