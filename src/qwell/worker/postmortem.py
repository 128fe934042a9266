"""From a dead child's exit status to the fault that killed it. Pure; knows nothing of asyncio."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Literal

from qwell.errors import QwellError


@dataclass(frozen=True, slots=True)
class Death:
    """What is known about an end.

    status     exit code, or minus the signal's number, as subprocess reports it
    oom_kills  processes the kernel killed for lack of memory while the child lived
    hung       why the parent killed it, when it did
    """

    status: int
    oom_kills: int = 0
    hung: Literal["", "no-beats", "no-steps"] = ""


_HUNG = {
    "no-beats": "the worker stopped reporting and was killed",
    "no-steps": "one step of the engine did not end and the worker was killed",
}


def _how(death: Death) -> str:
    if death.hung:
        return _HUNG[death.hung]
    if death.status >= 0:
        return f"the worker exited with code {death.status}"
    try:
        name = signal.Signals(-death.status).name
    except ValueError:
        name = f"signal {-death.status}"
    return f"the worker was killed by {name}"


def explain(death: Death) -> QwellError:
    """The most specific fault that the evidence supports."""
    how = _how(death)
    if death.status == -signal.SIGKILL and death.oom_kills and not death.hung:
        return QwellError(
            "oom-killed",
            found=f"{how}; the kernel counted {death.oom_kills} out-of-memory kill(s)",
            expected="enough memory for weights and conversations",
            fix="raise the memory limit, or lower --ctx-size, --parallel or --quant",
        )
    if death.status == -signal.SIGILL:
        return QwellError(
            "cpu-illegal-instruction",
            found=how,
            expected="a CPU that offers every instruction the program uses",
            fix="pass the host's CPU flags to the virtual machine (CPU type `host`), "
            "or start with --engine transformers",
        )
    return QwellError(
        "worker-crashed",
        found=how,
        expected="a worker that keeps running",
        fix="it is restarted by itself: send the message again; if it happens again, "
        "run `qwell doctor` and report the last lines of its log",
    )
