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
}


def words_for(language: Language) -> Words:
    return _ZH if language == "zh" else _EN
