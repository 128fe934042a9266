"""What `qwell chat` says, in English and Chinese. Plain data."""

from __future__ import annotations

from collections.abc import Mapping

from qwell.cli.language import Language

Words = Mapping[str, str]
COMMANDS = ("/new", "/retry", "/system", "/save", "/help", "/exit")

_EN: Words = {
    "hello": "Ctrl-C stops an answer, Ctrl-D leaves, /help lists the commands; "
    "a line that ends with \\ goes on",
    "/new": "start over; the system prompt stays",
    "/retry": "answer the last question again",
    "/system": "TEXT: set the system prompt; without text the model's own is used",
    "/save": "FILE: write the conversation as markdown (chat.md)",
    "/help": "this list",
    "/exit": "leave",
    "new": "a new conversation",
    "system": "the system prompt is set, from the next question on",
    "unknown": "there is no command {}; /help lists them",
    "nothing": "nothing has been asked yet",
    "saved": "saved to {}",
    "not saved": "not saved to {}: {}",
    "numbers": "{} + {} tokens · first after {:.0f} ms · {:.1f} tok/s",
    "stop": "done",
    "length": "cut: the answer reached its length limit",
    "repetition": "stopped: it had begun to repeat itself",
    "cancelled": "stopped",
    "tool_calls": "done",
    "context-overflow": "the oldest turns no longer fit and are not read; /new starts over",
    "repetition-loop": "the answer had begun to repeat itself; /retry, or ask differently",
    "garbled-utf8": "parts of the answer look garbled; /retry asks again",
    "boilerplate-reply": "the same stock reply as before; ask differently, or /new",
    "max-tokens-cut": "the answer reached its length limit; `go on` continues it",
}
_ZH: Words = {
    "hello": "Ctrl-C 停止回答，Ctrl-D 退出，/help 列出命令；行尾加 \\ 可换行继续输入",
    "/new": "开始新对话；系统提示保留",
    "/retry": "重新回答上一个问题",
    "/system": "文本：设置系统提示；不带文本则使用模型自带的",
    "/save": "文件：把对话保存为 markdown（chat.md）",
    "/help": "显示本列表",
    "/exit": "退出",
    "new": "新对话",
    "system": "系统提示已设置，从下一个问题起生效",
    "unknown": "没有命令 {}；/help 列出全部命令",
    "nothing": "还没有提过问题",
    "saved": "已保存到 {}",
    "not saved": "未能保存到 {}：{}",
    "numbers": "{} + {} 个词元 · {:.0f} 毫秒后开始 · 每秒 {:.1f} 个",
    "stop": "完成",
    "length": "已截断：达到长度上限",
    "repetition": "已停止：开始重复",
    "cancelled": "已停止",
    "tool_calls": "完成",
    "context-overflow": "最早的几轮对话已放不下，不再读取；/new 开始新对话",
    "repetition-loop": "回答开始重复；/retry 重新回答，或换个问法",
    "garbled-utf8": "回答中有疑似乱码；/retry 重新回答",
    "boilerplate-reply": "与之前的套话相同；请换个问法，或 /new",
    "max-tokens-cut": "回答达到长度上限；输入“继续”可接着写",
}


def words_for(language: Language) -> Words:
    return _ZH if language == "zh" else _EN
