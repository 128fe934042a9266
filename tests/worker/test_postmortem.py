"""Exit status and evidence name the fault."""

import signal

import pytest

from qwell.worker.postmortem import Death, explain


@pytest.mark.parametrize(
    ("death", "fault", "words"),
    [
        (Death(-signal.SIGSEGV), "worker-crashed", "SIGSEGV"),
        (Death(-signal.SIGKILL), "worker-crashed", "SIGKILL"),
        (Death(-signal.SIGKILL, oom_kills=1), "oom-killed", "1 out-of-memory kill"),
        (Death(-signal.SIGSEGV, oom_kills=1), "worker-crashed", "SIGSEGV"),
        (Death(-signal.SIGILL), "cpu-illegal-instruction", "SIGILL"),
        (Death(1), "worker-crashed", "code 1"),
        (Death(0), "worker-crashed", "code 0"),
        (Death(-99), "worker-crashed", "signal 99"),
        (Death(-signal.SIGKILL, hung="no-beats"), "worker-crashed", "stopped reporting"),
        (Death(-signal.SIGKILL, hung="no-steps"), "worker-crashed", "did not end"),
        (Death(-signal.SIGKILL, oom_kills=1, hung="no-steps"), "worker-crashed", "did not end"),
    ],
)
def test_the_most_specific_fault_is_named(death: Death, fault: str, words: str) -> None:
    error = explain(death)
    assert error.fault == fault
    assert words in error.found
