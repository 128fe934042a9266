"""What the dialogue says by itself, in Chinese and English. Decides nothing.

Every sentence that holds a fact takes it from outside; the rest holds none.
"""

from __future__ import annotations

from qwell.doctor.fault import Bilingual, Language

_WORDS: dict[str, Bilingual] = {
    "opening": Bilingual(
        "我先看一下这台机器和服务，检查的结果会陆续出现。",
        "I am looking at this machine and the server; results show as they come.",
    ),
    "opening_log": Bilingual(
        "我在读您贴的内容，同时检查这台机器和服务。",
        "I am reading what you pasted, and looking at this machine and the server meanwhile.",
    ),
    "opening_own_log": Bilingual(
        "我在读这个回答的日志，同时检查这台机器和服务。",
        "I am reading the log of this answer, and looking at this machine and the server.",
    ),
    "opening_away": Bilingual("我来看您写的内容。", "I am reading what you wrote."),
    "heard": Bilingual("好的。", "Understood."),
    "again": Bilingual("我再看一遍。", "I am looking again."),
    "all_pass": Bilingual(
        "在这里能做的检查都没有发现问题。", "No check that can be run here sees anything wrong."
    ),
    "diagnosis": Bilingual("原因：{title}。{summary}", "The cause: {title}. {summary}"),
    "likely": Bilingual(
        "最可能的原因：{title}。{summary}", "The likeliest cause: {title}. {summary}"
    ),
    "next_candidate": Bilingual(
        "那就不是它。下一个可能：{title}。{summary}",
        "So it was not that. The next candidate: {title}. {summary}",
    ),
    "elsewhere": Bilingual(
        "在这台机器上，相应的检查现在是通过的：日志说的是另一台机器，或是之前的情况。",
        "On this machine its checks pass now: the log speaks of another machine, or of earlier.",
    ),
    "consent": Bilingual(
        "我可以做这一步；您按下之前什么都不会改变。",
        "I can do this step; nothing changes before you press.",
    ),
    "manual": Bilingual(
        "这一步要您来做；做完后检查会自己变绿。",
        "This step is yours; the check turns green by itself when it is done.",
    ),
    "manual_unseen": Bilingual(
        "这一步要您来做；做完后请告诉我结果。",
        "This step is yours; tell me afterwards how it went.",
    ),
    "came_back": Bilingual(
        "它已经自己恢复了。我再看半分钟，确认它不再退出。",
        "It came back by itself. I keep looking for half a minute, to be sure that it stays.",
    ),
    "treating": Bilingual("正在处理，然后验证。", "Doing it, then verifying."),
    "treated_fixed": Bilingual("处理好了，检查已通过。", "Done, and the checks pass."),
    "treated_undone": Bilingual("没有效果，已经恢复原样。", "It did not help, and was taken back."),
    "treated_failed": Bilingual("这一步没有做成。", "This step could not be done."),
    "treated_refused": Bilingual("这一步现在不能做。", "This step cannot be done now."),
    "nothing_to_fix": Bilingual(
        "检查已经通过，没有需要处理的。", "The checks pass already; there is nothing to do."
    ),
    "verifying": Bilingual("正在验证。", "Verifying."),
    "still_wrong": Bilingual("检查还没有通过。", "The checks do not pass yet."),
    "chat_untried": Bilingual(
        "这个故障的检查通过了，但现在还不能真的对话一次，所以不算修好；服务能回答后我会再验证。",
        "The checks of this fault pass, but no real conversation can be held yet, so I do not call "
        "it fixed; I verify again once the server can answer.",
    ),
    "reloading": Bilingual("正在让服务重新加载模型。", "The server loads the model again."),
    "cannot_reload": Bilingual(
        "这里不能让服务重新加载：{because}", "It cannot be loaded again from here: {because}"
    ),
    "another": Bilingual(
        "这一步有效，但服务现在报告了另一个问题。",
        "That step worked, but the server now names another trouble.",
    ),
    "fixed": Bilingual("已修好：检查都通过了。", "Fixed: the checks pass."),
    "fixed_person": Bilingual(
        "好的，按您说的记为已解决；这里没有检查能看到它。",
        "Good: noted as solved on your word; no check here could see it.",
    ),
    "harmless": Bilingual("没有故障。{summary}", "Nothing is wrong. {summary}"),
    "healthy": Bilingual(
        "没有发现故障。如果又出现，请把当时的日志发给我。",
        "Nothing is wrong here. If it happens again, send me the log of that moment.",
    ),
    "again_question": Bilingual(
        "我没能把您的话对应到某个选项，请选一个，或者多写一点。",
        "I could not tell which answer that is; please choose one, or write more.",
    ),
    "declined": Bilingual("好的，不做这一步。", "All right, not that step."),
    "ordinary": Bilingual(
        "这看起来是一个普通的问题，请在聊天里问；这里处理的是故障。",
        "This looks like an ordinary question: ask it in the chat. Here I look for faults.",
    ),
    "unknown": Bilingual(
        "我能做的都做了，还不能确定原因。", "I have done what I can, and the cause is not certain."
    ),
    "limit": Bilingual(
        "能试的都试过了，再试下去没有意义。",
        "What could be tried was tried; more of it will not help.",
    ),
    "no_remedy": Bilingual(
        "试过的办法都没有解决，我没有别的办法可试了。",
        "Nothing that was tried has helped, and I have nothing left to try.",
    ),
    "no_help": Bilingual("好的，这一步没有解决。", "All right, that step did not help."),
    "no_server": Bilingual(
        "这里没有正在运行的服务，所以只能看这台机器。如果说的就是这台机器上的服务，"
        "请先用 qwell serve 启动它。",
        "No server is running here, so only this machine could be looked at. If you mean the "
        "server of this machine, start it with `qwell serve` first.",
    ),
    "handover": Bilingual(
        "这个文件里有检查结果、版本和日志末尾，已去除密钥和个人信息，可以交给能帮忙的人。",
        "This file holds the findings, versions and the end of the log, without keys and personal "
        "data: give it to somebody who can help.",
    ),
    "cut_off": Bilingual(
        "上次处理到一半程序就结束了：改动已经恢复。",
        "The program ended in the middle of that step: what it changed was taken back.",
    ),
    "undone": Bilingual("已恢复到处理之前。", "Taken back: it is as it was before."),
    "cannot_undo": Bilingual("这一步不能再恢复。", "This can no longer be taken back."),
    "waiting": Bilingual("等您做完；我在看着。", "Waiting for you; I keep looking."),
}


def say(key: str, language: Language, **facts: str) -> str:
    return _WORDS[key].text_in(language).format(**facts)


def both(key: str) -> Bilingual:
    return _WORDS[key]
