"""`qwell bench --plan`: users per box, boxes and cost, from what was measured."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from qwell.bench.plan import Box, Plan
from qwell.bench.workload import Workload


def plan(figures: Mapping[str, Any], args: argparse.Namespace) -> Plan:
    """figures: what the bench measured."""
    work = Workload(**{knob.name: getattr(args, knob.name) for knob in fields(Workload)})
    return Plan.of(Box.of(figures), work, args.users, args.box_per_hour)


def plan_lines(made: Plan) -> list[str]:
    """A line for each figure of the plan, or why there is none."""
    box = made.one_box
    seen = f"first token after {box.ttft_s:.1f} s (95 %), {box.tok_s:.1f} tok/s (90 %)"
    if not made.is_good:
        return [f"plan            one box is too slow even for one user: {seen}"]
    return [
        f"users per box   {box.users:8d}: {seen}, busy {box.busy:.0%} of the time",
        f"boxes           {made.boxes:8d} for {made.users} users",
        f"million tokens  {made.cost_per_million_tokens:8.2f} at the price of a box that full",
    ]
