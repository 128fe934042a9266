"""Other engines on the same weights, measured in turn with ours. Each lives in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO, Any

import qwell
from qwell.bench.engine import DECODED
from qwell.bench.peer_process import PEERS
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
    def start(
        cls, name: str, model: Path, cache: Path, n_threads: int, python: str = sys.executable
    ) -> Peer:
        """python: of an environment that has the peer's package.

        cache: the folder for weights in a form that the peer reads, made when first asked for.
        Raises QwellError python-module-missing, with the peer's own words, when it does not start.
        """
        read_end, write_end = os.pipe()
        process = subprocess.Popen(
            [
                *(python, "-m", "qwell.bench.peer_process"),
                *(name, str(model), str(cache), str(n_threads), str(write_end)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(write_end,),
            env=os.environ | {"PYTHONPATH": str(Path(qwell.__file__).parents[1])},
            text=True,
        )
        os.close(write_end)
        peer = cls(name, model, process, os.fdopen(read_end), version="")
        peer.version = peer._answer("version")
        return peer

    def sample(self) -> None:
        self.decode_tok_s.append(self._ask(f"decode {DECODED}"))
        self.prefill_tok_s.append(self._ask("prefill"))

    def result(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "weights": PEERS[self.name].weights,
            "model": self.model.name,
            "decode_tok_s": median(self.decode_tok_s),
            "prefill_tok_s": median(self.prefill_tok_s),
        }

    def stop(self) -> None:
        with suppress(BrokenPipeError):
            self._orders.close()
        self.process.wait()
        self.answers.close()

    @property
    def _orders(self) -> IO[str]:
        assert self.process.stdin is not None
        return self.process.stdin

    def _ask(self, order: str) -> float:
        with suppress(BrokenPipeError):  # of one that has ended, which reading its answer tells
            print(order, file=self._orders, flush=True)
        return float(self._answer(order.split(maxsplit=1)[0]))

    def _answer(self, key: str) -> Any:
        """The answer's value. Raises QwellError when the peer fails or ends instead."""
        line = self.answers.readline()
        answer = json.loads(line) if line else {}
        if key in answer:
            return answer[key]
        self.stop()
        reason = answer.get("error", f"it ended with status {self.process.returncode}")
        raise QwellError(
            "python-module-missing",
            found=f"{self.name}, {PEERS[self.name].weights}: {reason}",
            expected="the peer's package beside qwell",
            fix="pip install 'qwell[bench]', or name its environment: --peers-python PYTHON",
        )
