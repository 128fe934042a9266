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
    if args.plan or (args.figures and not args.chart):
        from qwell.cli.bench_plan import plan, plan_lines

        made = plan(result, args)
        result["plan"] = asdict(made)
        print("\n".join(plan_lines(made)))
    if args.chart:
        from qwell.bench.chart import chart

        Path(args.chart).write_text(chart(result), encoding="utf-8")
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
        *_growth(result["growth"]),
        *_served(result["serving"]),
        *(
            f"prompt lookup   {gain:8.2f}x on a {name} text"
            for name, gain in result["lookup"].items()
        ),
    ]
    if kl:
        lines.append("KL to float32   " + ", ".join(f"{k} {v:.4f}" for k, v in kl.items()))
    else:
        lines.append("KL to float32   not measured: torch and transformers are not installed")
    lines += [
        f"{peer['name']} ({peer['version']}; {peer['weights']}): "
        f"decode {peer['decode_tok_s']:.1f}, "
        f"prefill {peer['prefill_tok_s']:.1f} tok/s; we are "
        f"{result['decode_tok_s'] / peer['decode_tok_s']:.2f}x and "
        f"{result['prefill_tok_s'] / peer['prefill_tok_s']:.2f}x"
        for peer in result["peers"]
    ]
    return lines + [f"not measured: {reason}" for reason in result["missing"]]


def _growth(curves: dict[str, Any]) -> list[str]:
    decode, read = curves["decode_ms"], curves["read_s"]

    ratio, longest = decode[-1][1] / decode[0][1], decode[-1][0]
    return [
        *(f"at {n:>5} tokens {ms:8.2f} ms a token" for n, ms in decode),
        f"cost of a token {ratio:8.2f} times as much at {longest} tokens as at {decode[0][0]}",
        *(f"reading {n:>5}   {s:8.2f} s" for n, s in read),
    ]


def _served(seen: dict[str, Any] | None) -> list[str]:
    """What a server's clients saw."""
    if seen is None:
        return ["a server        not measured: httpx is not installed"]
    pause, turns, rest = seen["pause"], seen["turns"], seen["rest_ms"]
    start, memory = seen["start_to_first_token_s"], seen["rss_mb"]
    longest, alone = pause["longest_ms"], pause["alone_ms"]
    cost = seen["overhead"]
    return [
        f"start           {start:8.2f} s from the command to a first token",
        f"worker's memory {memory:8.0f} MB with 4,096 tokens of one conversation",
        f"longest pause   {longest:8.0f} ms while another prompt is read, {alone:.0f} else",
        f"turn 10         {turns['last_ms']:8.0f} ms to a first token",
        f"turn 1          {turns['first_ms']:8.0f} ms to a first token",
        f"stop, answering {rest['answering']:8.0f} ms until the processor rests",
        f"stop, reading   {rest['reading']:8.0f} ms until the processor rests",
        f"HTTP, events    {cost['share']:8.1%} more time a token than the engine alone",
        f"the server      {cost['server_ms']:8.2f} ms of a processor a token, its start included",
    ]


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
