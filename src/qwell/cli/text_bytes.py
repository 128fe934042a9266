"""Bytes of a file or of standard input as text, whatever wrote them. Knows no command.

UTF-8, UTF-16 (what `>` writes in PowerShell) and GB 18030 (what programs write on a Chinese
Windows), with a mark or without.
"""

from __future__ import annotations

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 65_536  # bytes by which an encoding without a mark is told
_ZEROS_OF_UTF16 = 0.3  # share of zero bytes on one side of the pairs, in text of Latin letters
_MOST_ZEROS, _MOST_STRANGE, _MOST_BROKEN = 0.5, 0.02, 0.1  # shares of characters in a text
_STRANGE = re.compile(r"[\x01-\x06\x0e-\x1a\x1c-\x1f\x7f]")
_NO_MARK = "\ufeff"


def text_of(content: bytes) -> str | None:
    """None for what is no text: a picture, an archive, weights of a model."""
    mark = next((m for m in _MARKS if content.startswith(m[0])), None)
    if mark:
        text = content[len(mark[0]) :].decode(mark[1], errors="replace")
    else:
        text = _without_mark(content)
    return text.replace("\0", "").lstrip(_NO_MARK) if _is_text(text[:_SAMPLE]) else None


def _is_text(sample: str) -> bool:
    """A crash may leave a block of zeros in a log; weights and pictures hold all bytes."""
    length = len(sample)
    return (
        sample.count("\0") <= _MOST_ZEROS * length
        and len(_STRANGE.findall(sample)) <= _MOST_STRANGE * length
        and sample.count("\ufffd") <= _MOST_BROKEN * length
    )


def _without_mark(content: bytes) -> str:
    sample = content[:_SAMPLE]
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        pairs = len(sample) // 2
        there, other = sample[first::2].count(0), sample[1 - first :: 2].count(0)
        if there > _ZEROS_OF_UTF16 * pairs > 0 and other < there / 4:
            return content.decode(encoding, errors="replace")
    for encoding in ("utf-8", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            if error.start >= len(content) - 3:  # cut in the middle of the last character
                return content[: error.start].decode(encoding)
    return _likelier(content)


def _likelier(content: bytes) -> str:
    """Neither is without fault: the one with fewer bytes that make no character."""
    found = [content.decode(encoding, errors="replace") for encoding in ("utf-8", "gb18030")]
    return min(found, key=lambda text: text.count("\ufffd"))
