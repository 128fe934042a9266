"""`qwell bench`: print the figures as a table, or as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qwell import config


def run(args: argparse.Namespace) -> int:
    if args.figures:
        result = json.loads(Path(args.figures).read_text(encoding="utf-8"))
    else:
        result = _measured(args)
    if args.plan or args.figures:
        from qwell.cli.bench_plan import plan, plan_lines

        made = plan(result, args)
        result["plan"] = asdict(made)
        print("\n".join(plan_lines(made)))
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


def _measured(args: argparse.Namespace) -> dict[str, Any]:
    from qwell.bench.run import run as measure

    settings, _ = config.load(vars(args))
    result = measure(settings, peers=args.peers, say=_say, peers_python=args.peers_python)
    print("\n".join(report(result)))
    return result


def _say(what: str) -> None:
    print(what, file=sys.stderr)


def report(result: dict[str, Any]) -> list[str]:
    """One line a figure, ours first; peers with our ratio over theirs."""
    machine, kl = result["machine"], result["kl"]
    lines = [
        f"{machine['cpu']}, {machine['threads']} threads, {machine['isa']}",
        f"{result['model']['name']} ({result['model']['source']}), quant {result['quant']}",
        f"weights: {result['quant_why']}",
        f"decode          {result['decode_tok_s']:8.1f} tok/s",
        f"prefill 512     {result['prefill_tok_s']:8.1f} tok/s",
        *(f"first token {n:>4} {ms:8.1f} ms" for n, ms in result["ttft_ms"].items()),
        *(f"{n} at once       {rate:8.1f} tok/s in total" for n, rate in result["batch"].items()),
        *_shares(result),
        f"bytes per token {result['bytes_per_token'] / 1e6:8.1f} MB",
        f"memory read     {result['read_gb_s']:8.1f} GB/s",
        f"roofline        {result['roofline']:8.2f} of it used",
        *(
            f"  {name:<13} {ms:8.2f} ms a token, {waiting:.2f} of it waiting for the other threads"
            for name, (ms, waiting) in result["phases_ms"].items()
        ),
        f"load            {result['load_s']:8.2f} s",
        f"resident        {result['rss_mb']:8.0f} MB",
    ]
    if kl:
        lines.append("KL to float32   " + ", ".join(f"{k} {v:.4f}" for k, v in kl.items()))
    else:
        lines.append("KL to float32   not measured: torch and transformers are not installed")
    lines += [
        f"{peer['name']} ({peer['version']}): decode {peer['decode_tok_s']:.1f}, "
        f"prefill {peer['prefill_tok_s']:.1f} tok/s; we are "
        f"{result['decode_tok_s'] / peer['decode_tok_s']:.2f}x and "
        f"{result['prefill_tok_s'] / peer['prefill_tok_s']:.2f}x"
        for peer in result["peers"]
    ]
    return lines + [f"not measured: {reason}" for reason in result["missing"]]


def _shares(result: dict[str, Any]) -> list[str]:
    """What choosing a token costs, as a share of the step that computes it."""
    step_us = 1e6 / result["decode_tok_s"]
    names = {
        "greedy_us": "greedy",
        "sample_us": "as the model's settings say",
        "grammar_us": "in a JSON schema",
    }
    return [
        f"sampling        {us:8.0f} us a token {names[name]}: {us / step_us:.1%} of a step"
        for name, us in result["sampling"].items()
    ]
