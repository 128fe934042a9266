"""Containers that call localhost, which is themselves."""

from __future__ import annotations

import pytest

from qwell.doctor.diagnose import diagnose_text
from qwell.doctor.read_caller import with_callers
from qwell.doctor.read_lines import split

CALLS_ITSELF = (
    "web-1  | Error: connect ECONNREFUSED 127.0.0.1:8000",
    (
        "nginx-1  | 2026/01/02 03:04:05 [error] 7#7: *1 connect() failed (111: Connection refused) "
        'while connecting to upstream, upstream: "http://127.0.0.1:8000/"'
    ),
    (
        'api-1  | psycopg2.OperationalError: connection to server at "localhost" (127.0.0.1), port '
        "5432 failed: Connection refused"
    ),
)
CALLS_OTHERS = (
    "Error: connect ECONNREFUSED 127.0.0.1:8000",
    "web-1  | Error: connect ECONNREFUSED 172.18.0.3:8000",
    "web-1  | listening on 127.0.0.1:3000",
)


@pytest.mark.parametrize("text", CALLS_ITSELF)
def test_the_line_names_the_container(text: str) -> None:
    container = text.partition("-")[0]
    assert next(with_callers(split(text))).text.endswith(f"(called from container {container})")
    assert diagnose_text(text).diagnoses[0].fault.id == "container-localhost"


@pytest.mark.parametrize("text", CALLS_OTHERS)
def test_other_lines_stay(text: str) -> None:
    assert list(with_callers(split(text))) == list(split(text))
