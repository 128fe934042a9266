"""A message in the middle of a log of megabytes is found, whatever stands around it."""

from __future__ import annotations

import random

import pytest

from qwell.doctor.diagnose import diagnose_text

IN_USE = "OSError: [Errno 98] error while attempting to bind: address already in use"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("needle", "fault"), [(IN_USE, "port-in-use"), ("error: body-too-large", "body-too-large")]
)
def test_every_line_of_a_long_log_is_read(needle: str, fault: str) -> None:
    rng = random.Random(1)
    lines = [f"INFO task {''.join(rng.choices(LETTERS, k=9))} done in {n}" for n in range(90_000)]
    half = len(lines) // 2
    text = "\n".join([*lines[:half], needle, *lines[half:]])
    assert len(text) > 2_500_000
    verdict = diagnose_text(text)
    assert verdict.diagnoses[0].fault.id == fault
    assert half + 1 in {proof.line for proof in verdict.diagnoses[0].proofs}


def test_without_the_message_there_is_no_alarm() -> None:
    rng = random.Random(2)
    lines = [f"INFO task {''.join(rng.choices(LETTERS, k=9))} done in {n}" for n in range(90_000)]
    assert diagnose_text("\n".join(lines)).verdict != "fault"
