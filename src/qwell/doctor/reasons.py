"""What checks say of themselves, for readers of Chinese.

Checks speak English; what they say is a short list, translated in reasons.toml. Knows no check:
what is not in the list, such as the words of an operating system, stays as it is.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from qwell.doctor.fault import Language

PATH = Path(__file__).with_name("reasons.toml")
_FIRST_CAUSE = re.compile(r"([a-z]+\.[a-z_]+): (.+)", re.DOTALL)  # why a check had to be skipped


def reason_in(text: str, language: Language) -> str:
    """The same reason in that language, as far as it is known."""
    if language == "en" or not text:
        return text
    plain, forms = _chinese()
    if text in plain:
        return plain[text]
    for pattern, form in forms:
        if found := pattern.fullmatch(text):
            return form.replace("{}", found[1])
    if cause := _FIRST_CAUSE.fullmatch(text):
        return f"{cause[1]}：{reason_in(cause[2], language)}"
    return text


def retold(body: Any, language: Language) -> Any:
    """JSON of findings, incidents and diagnoses with their reasons in that language.

    Lines of a log stay as they were written.
    """
    if language == "en":
        return body
    if isinstance(body, list | tuple):
        return [retold(item, language) for item in body]
    if not isinstance(body, dict):
        return body
    said = {"because", "text"} if body.get("line") == 0 else {"because"}
    return {
        key: reason_in(value, language)
        if key in said and isinstance(value, str)
        else retold(value, language)
        for key, value in body.items()
    }


@cache
def _chinese() -> tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]:
    """Whole sentences, and those with a place for something."""
    table = tomllib.loads(PATH.read_text(encoding="utf-8"))
    forms = [
        (re.compile(re.escape(english).replace(r"\{\}", "(.+)"), re.DOTALL), chinese)
        for english, chinese in table.items()
        if "{}" in english
    ]
    return {english: zh for english, zh in table.items() if "{}" not in english}, forms
