"""The questions of the dialogue, and how likely each answer is under each fault.

Four kinds: for a log, where it is seen, yes or no about one fault (the catalogue's), and which of
several descriptions is closest. Knows nothing of what was seen.
"""

from __future__ import annotations

from collections.abc import Sequence

from qwell.doctor.case import Choice, Question, Reply
from qwell.doctor.fault import Bilingual, Fault
from qwell.doctor.render import filled

LOG, WHERE = "log", "where"
IS_IT, CLOSEST = "is:", "closest:"  # followed by faults
OUTCOME = "outcome"
NONE = "none"  # none of the suspects
YES, NO, UNSURE = "yes", "no", "unsure"

# faults whose question is answered with yes when it is NOT that fault
YES_SPEAKS_AGAINST = frozenset(
    (
        "api-base-wrong",
        "auth-missing",
        "backend-not-listening",
        "build-toolchain-missing",
        "chat-template-missing",
        "chat-template-wrong",
        "clock-skew",
        "config-json-missing",
        "dns-failure",
        "hf-hub-unreachable",
        "history-not-sent",
        "model-dir-not-mounted",
        "model-name-unknown",
        "model-path-missing",
        "port-not-published",
        "python-module-missing",
        "system-prompt-lost",
        "tokenizer-missing",
    )
)
NOT_YES_OR_NO = frozenset(
    ("worker-crashed",)
)  # asks for last words: that is the question for a log

# P(answer | this fault), P(answer | another one)
_IT_IS, _IT_IS_NOT = 0.85, 0.3
_CLOSEST_RIGHT, _CLOSEST_OTHER, _CLOSEST_NONE = 0.7, 0.12, 0.1
_CLOSEST_NONE_OTHER = 0.7

_YES_NO = (
    Choice(YES, Bilingual("是", "Yes")),
    Choice(NO, Bilingual("否", "No")),
    Choice(UNSURE, Bilingual("不知道", "I do not know")),
)
_NO_LOG = Choice("no_log", Bilingual("没有日志", "There is no log"))
# the label of a place is read like words of the person
PLACES = (
    Choice(
        "start", Bilingual("服务启动不了，或启动后退出", "The service does not start, or exits")
    ),
    Choice(
        "page", Bilingual("网页打不开、空白或报错", "The page does not open, is blank or fails")
    ),
    Choice("slow", Bilingual("能用，但是回答很慢", "It works, but answers are slow")),
    Choice("answers", Bilingual("回答的内容不对", "What is answered is wrong")),
    Choice("client", Bilingual("程序调用接口时报错", "A program that calls the API gets errors")),
    Choice("install", Bilingual("安装或下载模型失败", "Installing, or fetching the model, fails")),
)


def ask_for_log() -> Question:
    text = Bilingual(
        "请贴出出错前后的日志：终端或 docker logs 的最后几十行，"
        "网页问题请贴浏览器控制台（F12）里的红字。",
        "Please paste the log around the failure: the last lines of the terminal or docker logs; "
        "for trouble with the page, the red lines of the browser's console (F12).",
    )
    return Question(LOG, text, (_NO_LOG,))


def ask_where() -> Question:
    text = Bilingual(
        "问题出在哪里？也可以直接写：您做了什么、期望什么、看到了什么。",
        "Where does it go wrong? You can also write what you did, expected and saw.",
    )
    return Question(WHERE, text, (*PLACES, _YES_NO[2]))


def ask_whether(fault: Fault) -> Question:
    """The fault's own yes or no."""
    assert fault.ask is not None
    text = Bilingual(filled(fault.ask.zh, {}), filled(fault.ask.en, {}))
    return Question(IS_IT + fault.id, text, _YES_NO, (fault.id,))


def ask_closest(faults: Sequence[Fault]) -> Question:
    """Which of these descriptions fits best."""
    ids = tuple(fault.id for fault in faults)
    text = Bilingual("哪一条最接近您看到的情况？", "Which of these is closest to what you see?")
    choices = [Choice(fault.id, fault.see) for fault in faults]
    none = Choice(NONE, Bilingual("都不是", "None of these"))
    return Question(CLOSEST + ",".join(ids), text, (*choices, none, _YES_NO[2]), ids)


def ask_outcome(*, can_reload: bool = False) -> Question:
    """can_reload: the server has given up loading its model, and can be told to try again."""
    text = Bilingual("现在好了吗？", "Does it work now?")
    retry = Choice("retry", Bilingual("做完了，重新加载模型", "Done: load the model again"))
    choices = (
        *((retry,) if can_reload else ()),
        Choice("works", Bilingual("好了", "It works now")),
        Choice("still_broken", Bilingual("还是不行", "Still broken")),
        Choice("decline", Bilingual("不做这一步", "I will not do this")),
    )
    return Question(OUTCOME, text, choices)


def can_be_asked(fault: Fault) -> bool:
    return fault.ask is not None and fault.id not in NOT_YES_OR_NO


def outcomes(question: Question) -> tuple[Reply, ...]:
    """Every answer to a question about faults that tells something."""
    told = [choice for choice in question.choice_ids if choice != UNSURE]
    return tuple(Reply(question.id, choice, question.about) for choice in told)


def likelihood(reply: Reply, fault_id: str) -> float:
    """P(this answer | that fault), up to a factor that is the same for all; NONE: another one."""
    if reply.choice == UNSURE:
        return 1.0
    if reply.question.startswith(IS_IT):
        return _of_yes_or_no(reply, fault_id)
    if reply.question.startswith(CLOSEST):
        return _of_closest(reply, fault_id)
    return 1.0


def _of_yes_or_no(reply: Reply, fault_id: str) -> float:
    (asked,) = reply.about
    speaks_for = (reply.choice == YES) != (asked in YES_SPEAKS_AGAINST)
    p_for = _IT_IS if fault_id == asked else _IT_IS_NOT
    return p_for if speaks_for else 1 - p_for


def _of_closest(reply: Reply, fault_id: str) -> float:
    if reply.choice == NONE:
        return _CLOSEST_NONE if fault_id in reply.about else _CLOSEST_NONE_OTHER
    if fault_id == reply.choice:
        return _CLOSEST_RIGHT
    return _CLOSEST_OTHER
