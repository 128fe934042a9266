"""A second engine for one question: `python -m qwell.worker.probe`. Started by the doctor.

Loads as the worker does, answers the fixed question greedily, prints one JSON object and ends.
A crash of native code ends this process alone. Knows no server.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any

from qwell.config import Settings, load
from qwell.core import Delta, Done, Failed, Message, Request, Sampling, is_terminal
from qwell.doctor import baseline, load_sample
from qwell.errors import QwellError

_N_CTX = 512  # enough for the question: the probe must not need the memory of a server


def main() -> int:
    parser = argparse.ArgumentParser(prog="qwell.worker.probe")
    for name in ("model", "engine", "quant", "cache-dir"):
        parser.add_argument(f"--{name}", default=None)
    try:
        settings, _ = load(vars(parser.parse_args()))
        report = _probe(dataclasses.replace(settings, ctx_size=_N_CTX, parallel=1))
    except QwellError as error:
        report = {"error": error.to_dict()}
    except ImportError as error:
        report = {"error": {"fault": "python-module-missing", "found": str(error)}}
    print(json.dumps(report, ensure_ascii=False))
    return 0


def _probe(settings: Settings) -> dict[str, Any]:
    """Raises QwellError for whatever a person can mend, ImportError for a broken installation."""
    from qwell.worker import loading

    loaded = loading.load(settings, lambda _done, _stage: None)
    try:
        events = [e for _, e in loaded.engine.add(_question())]
        while not any(is_terminal(event) for event in events):
            events += [event for _, event in loaded.engine.step()]
    finally:
        loaded.close()
    end = events[-1]
    if isinstance(end, Failed):
        return {"error": {"fault": end.code, "found": end.cause}}
    assert isinstance(end, Done)
    return {
        "answer": "".join(event.text for event in events if isinstance(event, Delta)),
        "key": baseline.key_of(loaded.model),
        "load_s": loaded.model["load_s"],
        "tok_s": end.timings.tok_s,
        "ttft_ms": end.timings.ttft_ms,
    }


def _question() -> Request:
    return Request(
        id="probe",
        messages=(Message("user", load_sample.QUESTION),),
        sampling=Sampling(temperature=0),
        max_tokens=load_sample.N_TOKENS,
    )


if __name__ == "__main__":
    sys.exit(main())
