"""Harmless things that look like trouble: they must change no verdict.

Real ones where they can be: a client that leaves in mid-answer, a page that asks for what is not
there, variables of a proxy that spares this machine. Knows no fault.
"""

from __future__ import annotations

import http.client
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from qwell.lab.patient import Patient

SHARE = 5  # one case of so many has noise on top

# nothing in it twice: answers that repeat the question must not look like a loop
_STORY = ", ".join(f"page {n}" for n in range(1, 60))
_LINES = """\
INFO:     127.0.0.1:51234 - "GET /favicon.ico HTTP/1.1" 404 Not Found
INFO:     Application startup complete.
FutureWarning: `clean_up_tokenization_spaces` was not set. It will be set to `True` by default.
WARNING: Running pip as the 'root' user can result in broken permissions and conflicting behaviour
0 errors, 0 warnings, 3 retries, all succeeded
"""


def harmless_lines() -> str:
    """What stands in many healthy logs."""
    return _LINES


def is_noisy(name: str) -> bool:
    """The same cases in every run."""
    return zlib.crc32(name.encode()) % SHARE == 0


@contextmanager
def harmless_things(patient: Patient) -> Iterator[None]:
    """A little trouble that is none, while the block runs."""
    if patient.server is not None:
        _ask_for_nothing(patient)
        _leave_in_mid_answer(patient)
    spared = {"http_proxy": "http://192.0.2.1:3128", "no_proxy": "localhost,127.0.0.1"}
    with patient.with_environ(**spared, TOKENIZERS_PARALLELISM="false"):
        yield


def _ask_for_nothing(patient: Patient) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", patient.port, timeout=5)
    connection.request("GET", "/favicon.ico.bak")
    connection.getresponse().read()
    connection.close()


def _leave_in_mid_answer(patient: Patient) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": _STORY}]})
    connection = http.client.HTTPConnection("127.0.0.1", patient.port, timeout=5)
    connection.request("POST", "/api/chat", body, {"Content-Type": "application/json"})
    connection.getresponse().read(64)
    connection.close()
