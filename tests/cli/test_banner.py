"""The banner names what is really served, and hides what is not known."""

from __future__ import annotations

import pytest

from qwell.cli.address import is_public, url_of
from qwell.cli.banner import bound_lines, doubt_lines, model_lines, url_lines
from qwell.config import Settings


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104  shown as something that can be opened
        ("::", "http://[::1]:80"),
        ("fe80::1", "http://[fe80::1]:80"),
        ("nas.local", "http://nas.local:80"),
    ],
)
def test_the_address_can_be_opened_here(host: str, url: str) -> None:
    assert url_of(host, 80) == url


@pytest.mark.parametrize(
    ("host", "public"),
    [("127.0.0.1", False), ("::1", False), ("localhost", False), ("10.0.0.1", True), ("nas", True)],
)
def test_who_can_connect(host: str, public: bool) -> None:
    assert is_public(host) is public


def test_with_a_key_the_way_in_is_told_but_not_the_key() -> None:
    lines = url_lines(Settings(host="10.0.0.1", api_key="s3cret"), 80)
    assert "/?key=" in lines[1]
    assert "s3cret" not in str(lines)


def test_the_model_is_told_with_the_reason_for_its_threads() -> None:
    lines = model_lines(
        {
            "name": "Qwen2.5",
            "source": {"origin": "path", "path": "/models/x"},
            "quant": "q5",
            "engine": "native",
            "isa": "avx2",
            "n_threads": 2,
            "threads_why": "2 physical cores",
            "n_ctx": 4096,
            "n_slots": 4,
            "load_s": 1.26,
        }
    )
    assert lines == [
        "model   Qwen2.5 from /models/x",
        "weights q5",
        "engine  native avx2",
        "threads 2 (2 physical cores)",
        "context 4096 tokens, 4 conversations at once",
        "loaded  in 1.3 s",
    ]


def test_the_choice_of_weights_is_told_in_both_languages() -> None:
    why = (
        "auto: each matrix in the smallest kind that keeps the source's quality (70% q5, 30% q4);"
        " 326 MB read per token"
    )
    model = {"name": "x", "quant": "q5", "quant_why": why}
    assert model_lines(model)[1] == f"weights q5 ({why})"
    assert model_lines(model, "zh")[1].endswith("（70% q5, 30% q4）；每个 token 读取 326 MB)")


def test_unknown_facts_are_left_out() -> None:
    assert model_lines({"name": "x"}) == ["model   x"]


def test_every_bound_is_told() -> None:
    (limits, log) = bound_lines(Settings(rate_limit=30, idle_unload_min=5, data_dir="/data"))
    for bound in (
        "64 may wait",
        "600 s an answer",
        "8 MiB",
        "512 connections",
        "30 answers",
        "5 idle",
    ):
        assert bound in limits
    assert "/data/logs/qwell.log" in log
    assert len(bound_lines(Settings(log_file_mib=0))) == 1


def test_logged_prompts_are_warned_about() -> None:
    assert bound_lines(Settings(log_prompts="on"))[-1].startswith("warning")


def test_a_cpu_that_makes_it_slow_is_named() -> None:
    why = "slow: this CPU, or the virtual machine, has no AVX2"
    assert f"warning {why}" in model_lines({"name": "x", "isa": "portable", "slow_why": why})


def test_more_context_than_the_model_has_is_told() -> None:
    lines = model_lines({"name": "x", "n_ctx": 32768}, "en", 40000)
    assert lines[-1] == "warning the model was trained for less than --ctx-size 40000"
    assert len(model_lines({"name": "x", "n_ctx": 32768}, "en", 32768)) == len(lines) - 1


def test_what_was_meant_to_set_something_is_told() -> None:
    environ = {"QWELL_CONFIG": "/no/such.toml", "QWELL_PROT": "9"}
    assert doubt_lines(environ) == [
        "warning QWELL_CONFIG names /no/such.toml, which is not there: defaults are used",
        "warning QWELL_PROT is no setting; QWELL_PORT is one",
    ]
    assert not doubt_lines({})
