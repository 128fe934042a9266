"""Faults of the catalogue that the lab does not cause, each with the reason. Data only.

`make test` fails for a fault that has neither a case nor a line here.
"""

from __future__ import annotations

from collections.abc import Mapping

_OTHER = "it is a fault of other programs: qwell's engine cannot be brought into this state"

EXCUSED: Mapping[str, str] = {
    "cpu-frequency-low": "a virtual machine has no governor of its own that could be set",
    "swap-thrash": "needs a machine with swap, and slows down everybody who works on it",
    "selinux-denied": "needs a kernel with SELinux enforcing",
    "port-not-published": "needs a container engine, whose list of ports is what is looked at",
    "slow-tokenizer": f"{_OTHER}: without tokenizer.json it starts no model",
    "wrong-dtype-on-cpu": f"{_OTHER}: half precision is refused at start",
    "batch-size-too-large": f"{_OTHER}: prompts are read in pieces",
    "prompt-too-long-prefill": "seen against a recorded speed, which a shared machine has not",
    "prefix-cache-miss": f"{_OTHER}: slots are always compared with the new prompt",
    "padding-side-wrong": f"{_OTHER}: nothing is padded",
    "kv-cache-too-large": "contexts are cut to the model's; only the real one could be too large",
    "model-load-timeout": "the limit is ten minutes, which no run of the lab waits for",
    "service-worker-stale": "the page has to be installed, and then replaced by another release",
    "model-too-small-for-task": "no state of a machine: whether an answer is good enough",
}
