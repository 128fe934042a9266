"""What prompt lookup costs where an answer does not repeat anything, and brings where it does.

The same greedy answers of the whole engine with guesses and without, in turn.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

from qwell.backends.native import NativeBackend
from qwell.core import Done, Message, Request, Sampling
from qwell.engine.engine import Engine
from qwell.text import Text

PROMPTS = {
    "novel": "写一首关于秋天的诗，每一行都不一样。",
    "repeating": "Repeat three times: apple, pear, plum, cherry, peach, grape, melon, fig.",
}
_TOKENS, _ROUNDS = 64, 5


def lookup_gain(pack: Path, text: Text, n_threads: int) -> dict[str, float]:
    """Speed of an answer with guesses over its speed without, by the kind of answer."""
    backend = NativeBackend(pack, n_ctx=1024, n_slots=1, n_threads=n_threads)
    rates: dict[tuple[str, bool], list[float]] = {}
    for _ in range(_ROUNDS):
        for name, question in PROMPTS.items():
            for verifies in (False, True):
                backend.verifies = verifies
                rates.setdefault((name, verifies), []).append(_tok_s(backend, text, question))
    return {name: median(rates[name, True]) / median(rates[name, False]) for name in PROMPTS}


def _tok_s(backend: NativeBackend, text: Text, question: str) -> float:
    engine = Engine(backend, text)
    sampling = Sampling(temperature=0, repetition_penalty=1)
    messages = (Message("user", question),)
    events = engine.add(Request("1", messages, sampling=sampling, max_tokens=_TOKENS))
    while engine.has_work:
        events += engine.step()
    [(_, end)] = events[-1:]
    assert isinstance(end, Done)
    assert end.timings is not None
    return end.timings.tok_s
