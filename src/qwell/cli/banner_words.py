"""What is told at the start, in Chinese and English. Knows no settings."""

from __future__ import annotations

from qwell.cli.language import Language

_EN = {
    "url": "qwell   {}   (API {}/v1; stop with Ctrl-C)",
    "key": "key     in a browser open {}/?key=<the key> once",
    "open": "warning everyone who reaches this machine may chat: set --api-key (QWELL_API_KEY)",
    "limits": "limits  {}",
    "comma": ", ",
    "waiting": "{} may wait",
    "seconds": "{} s an answer",
    "body": "{} MiB a request",
    "connections": "{} connections",
    "rate": "{} answers a minute for each caller",
    "drain": "{} s to end when stopped",
    "idle": "unloaded after {} idle min",
    "log": "log     {} (5 files of {} MiB)",
    "prompts": "warning prompts and answers are written to the log (--log-prompts off)",
    "no_note": "warning no note of this server in {}: {}",
    "stays_up": "The server stays up: the page and /ready show this, too.",
    "model": "model   {}",
    "from": "{} from {}",
    "weights": "weights {}",
    "engine": "engine  {}",
    "warning": "warning {}",
    "threads": "threads {} ({})",
    "context": "context {} tokens, {} conversations at once",
    "loaded": "loaded  in {:.1f} s",
    "stage_probe": "looking for a source",
    "stage_download": "downloading",
    "stage_verify": "verifying",
    "stage_pack": "packing",
    "stage_import": "starting",
    "stage_start": "starting",
    "of": "{} of {}",
}
_ZH = {
    "url": "qwell   {}   （API {}/v1；按 Ctrl-C 停止）",
    "key": "密钥    在浏览器中打开一次 {}/?key=<密钥>",
    "open": "警告    能访问这台机器的人都可以聊天：请设置 --api-key（QWELL_API_KEY）",
    "limits": "限制    {}",
    "comma": "，",
    "waiting": "最多 {} 个排队",
    "seconds": "每个回答 {} 秒",
    "body": "每个请求 {} MiB",
    "connections": "{} 个连接",
    "rate": "每个调用者每分钟 {} 个回答",
    "drain": "停止时用 {} 秒结束回答",
    "idle": "空闲 {} 分钟后卸载",
    "log": "日志    {}（5 个文件，每个 {} MiB）",
    "prompts": "警告    提问和回答会写入日志（--log-prompts off 关闭）",
    "no_note": "警告    无法在 {} 记下这个服务器：{}",
    "stays_up": "服务器继续运行：页面和 /ready 也会显示这个原因。",
    "model": "模型    {}",
    "from": "{}，来自 {}",
    "weights": "权重    {}",
    "engine": "引擎    {}",
    "warning": "警告    {}",
    "threads": "线程    {}（{}）",
    "context": "上下文  {} 个词元，同时 {} 个对话",
    "loaded": "加载    用时 {:.1f} 秒",
    "stage_probe": "寻找来源",
    "stage_download": "下载",
    "stage_verify": "校验",
    "stage_pack": "处理权重",
    "stage_import": "启动",
    "stage_start": "启动",
    "of": "{} / {}",
}


def words_for(language: Language) -> dict[str, str]:
    """Formats by name."""
    return _ZH if language == "zh" else _EN
