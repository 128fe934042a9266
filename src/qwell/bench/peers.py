"""Other engines on the same weights, measured in turn with ours. Each lives in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import qwell
from qwell.bench.engine import DECODED
from qwell.errors import QwellError


@dataclass
class Peer:
    """A running peer and its samples. Asking blocks until it has answered."""

    name: str
    model: Path
    process: subprocess.Popen[str]
    answers: Any
    version: str
    decode_tok_s: list[float] = field(default_factory=list)
    prefill_tok_s: list[float] = field(default_factory=list)

    @classmethod
    def start(cls, name: str, model: Path, n_threads: int, python: str = sys.executable) -> Peer:
        """python: of an environment that has the peer's package.

        Raises QwellError python-module-missing when the peer does not start.
        """
        read_end, write_end = os.pipe()
        process = subprocess.Popen(
            [
                *(python, "-m", "qwell.bench.peer_process"),
                *(name, str(model), str(n_threads), str(write_end)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(write_end,),
            env=os.environ | {"PYTHONPATH": str(Path(qwell.__file__).parents[1])},
            text=True,
        )
        os.close(write_end)
        answers = os.fdopen(read_end)
        first = answers.readline()
        if not first:
            process.wait()
            answers.close()
            raise QwellError(
                "python-module-missing",
                found=f"{name} did not start (exit status {process.returncode})",
                expected="the peer's package beside qwell",
                fix="pip install 'qwell[bench]', or name its environment: --peers-python PYTHON",
            )
        return cls(name, model, process, answers, json.loads(first)["version"])

    def sample(self) -> None:
        self.decode_tok_s.append(self._ask(f"decode {DECODED}"))
        self.prefill_tok_s.append(self._ask("prefill"))

    def result(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "model": self.model.name,
            "decode_tok_s": median(self.decode_tok_s),
            "prefill_tok_s": median(self.prefill_tok_s),
        }

    def stop(self) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()
        self.answers.close()

    def _ask(self, order: str) -> float:
        assert self.process.stdin is not None
        print(order, file=self.process.stdin, flush=True)
        return float(json.loads(self.answers.readline())[order.split(maxsplit=1)[0]])
