"""What was asked for is no evidence; how it went is."""

from __future__ import annotations

import pytest

from qwell.doctor.diagnose import diagnose_text
from qwell.doctor.read_access import without_target

FINE = (
    'INFO:     127.0.0.1:1 - "GET /faults/oom-killed HTTP/1.1" 200 OK',
    (
        '10.0.0.1 - - [22/Nov/2026:10:00:00 +0000] "GET /faults/oom-killed HTTP/1.1" 304 0 '
        '"http://chat/faults/oom-killed" "Mozilla/5.0"'
    ),
    (
        "2026-11-22T19:43:23.356Z INFO    qwell.server.request: response method=GET "
        "path=/faults/oom-killed client=127.0.0.1 status=200 first_byte_ms=3"
    ),
    (
        '10.0.0.1 - - [22/Nov/2026:10:00:00 +0000] "GET /faults/oom-killed HTTP/1.1" 200 12 "-" '
        '"-" 1 "web@docker" "http://10.0.0.2:8000" 3ms'
    ),
    '{"RequestMethod":"GET","RequestPath":"/faults/oom-killed","DownstreamStatus":200}',
    '[GIN] 2026/11/22 - 10:00:00 | 200 | 1.2ms | 127.0.0.1 | GET "/faults/oom-killed"',
)


@pytest.mark.parametrize("line", FINE)
def test_a_request_that_went_well_names_no_fault(line: str) -> None:
    assert "oom" not in without_target(line)
    verdict = diagnose_text(line)
    assert (verdict.verdict, verdict.diagnoses) == ("healthy", ())


def test_a_request_that_failed_counts_by_its_status() -> None:
    line = '10.0.0.1 - - [22/Nov/2026:10:00:00 +0000] "POST /v1/chat/completions HTTP/1.1" 429 0'
    assert without_target(line) == line
    assert diagnose_text(line).diagnoses[0].fault.id == "rate-limited"
    missing = 'INFO:     127.0.0.1:1 - "GET /faults/oom-killed HTTP/1.1" 404 Not Found'
    assert "oom" not in without_target(missing)


@pytest.mark.parametrize(
    "line", ["", "GET /x", "http://127.0.0.1:8000/faults/disk-full", "a 200 b"]
)
def test_other_lines_stay_as_they_are(line: str) -> None:
    assert without_target(line) == line
