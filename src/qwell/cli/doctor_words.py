"""The doctor's words in the terminal, in Chinese and English. Prose about faults is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qwell.cli.language import Language


@dataclass(frozen=True, slots=True)
class DoctorWords:
    language: Language
    checking: str
    status: Mapping[str, str]
    layers: Mapping[str, str]
    outcome: Mapping[str, str]
    columns: tuple[str, str, str, str]
    summary: str
    locked_out: str
    no_server: str
    cause: str
    unknown_cause: str
    why: str
    fix: str
    next_step: str
    ask_consent: str
    results: Mapping[str, str]
    by_hand: str
    no_remedy: str
    more: str


_ZH = DoctorWords(
    language="zh",
    checking="正在检查",
    status={
        "healthy": "健康", "degraded": "可用，但有问题", "broken": "故障", "unknown": "无法判断",
    },
    layers={
        "host": "主机", "container": "容器", "dependency": "依赖", "model": "模型",
        "engine": "引擎", "api": "接口", "network": "网络", "browser": "浏览器", "dialogue": "对话",
    },
    outcome={"pass": "正常", "warn": "注意", "fail": "异常", "skip": "跳过", "error": "检查出错"},
    columns=("层", "检查", "结果", "依据"),
    summary="{passed} 项正常，{wrong} 项异常，{skipped} 项跳过，{errors} 项检查出错",
    locked_out="服务器要求密钥：加上 --api-key 才能检查它。",
    no_server="没有检查服务：这里没有正在运行的服务（可用 --url、--port 或 --data-dir 指明）。",
    cause="原因",
    unknown_cause="没有已知的故障能解释这些现象。把 `qwell bundle` 的输出附在报告里。",
    why="依据",
    fix="怎么办",
    next_step="下一步",
    ask_consent="执行“{what}”？[y/N] ",
    results={
        "fixed": "已修好，并通过了同一项检查", "nothing-to-fix": "检查已通过，无需处理",
        "manual": "需要手动处理", "needs-consent": "没有得到同意，未执行", "refused": "未执行",
        "failed": "没有成功", "undone": "没有起作用，已恢复原状",
    },
    by_hand="请手动执行：",
    no_remedy="没有可以自动执行的修复。",
    more="`qwell doctor` 说明原因和处理方法；--preflight off 关闭启动检查",
)  # fmt: skip
_EN = DoctorWords(
    language="en",
    checking="checking",
    status={
        "healthy": "healthy", "degraded": "works, with problems", "broken": "broken",
        "unknown": "could not tell",
    },
    layers={
        "host": "host", "container": "container", "dependency": "dependencies", "model": "model",
        "engine": "engine", "api": "API", "network": "network", "browser": "browser",
        "dialogue": "dialogue",
    },
    outcome={"pass": "pass", "warn": "warn", "fail": "FAIL", "skip": "skip", "error": "ERROR"},
    columns=("layer", "check", "result", "evidence"),
    summary="{passed} passed, {wrong} wrong, {skipped} skipped, {errors} checks broke",
    locked_out="The server wants a key: with --api-key it is examined, too.",
    no_server="No server was examined: none runs here (name one by --url, --port or --data-dir).",
    cause="cause",
    unknown_cause="No known fault explains this. Add the output of `qwell bundle` to a report.",
    why="because",
    fix="what to do",
    next_step="next",
    ask_consent='Do "{what}"? [y/N] ',
    results={
        "fixed": "fixed: the same check passes again", "nothing-to-fix": "the check passes already",
        "manual": "has to be done by hand", "needs-consent": "not done without consent",
        "refused": "not done", "failed": "did not succeed",
        "undone": "did not help, and was taken back",
    },
    by_hand="to be done by hand:",
    no_remedy="There is nothing that can be done automatically.",
    more="`qwell doctor` says why and what to do; --preflight off skips these checks",
)  # fmt: skip


def words_for(language: Language) -> DoctorWords:
    return _ZH if language == "zh" else _EN
