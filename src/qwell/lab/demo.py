"""`qwell lab demo FAULT`: one fault from healthy to healthy, told while it happens."""

from __future__ import annotations

from qwell.doctor.catalogue import load
from qwell.doctor.fault import Language
from qwell.lab.case import Case
from qwell.lab.judge import Judge
from qwell.lab.leftovers import new_run
from qwell.lab.run import examine
from qwell.lab.ward import Ward

_STEPS = {
    "en": {
        "well": "A healthy qwell, in a folder of its own", "caused": "The fault is there",
        "seen": "What a person meets", "named": "What the doctor says",
        "treated": "What is done about it", "verified": "The same attempt again works",
        "not cured": "It is not cured", "undone": "Afterwards",
    },
    "zh": {
        "well": "一个健康的 qwell，放在单独的目录里",
        "caused": "故障已经制造出来",
        "seen": "用户看到的现象", "named": "诊断结果",
        "treated": "采取的措施",
        "verified": "再试一次：正常",
        "not cured": "没有治好", "undone": "之后",
    },
}  # fmt: skip


def demo(case: Case, language: Language) -> int:
    """Exit code: 0 when the fault was named and cured."""
    words, fault = _STEPS[language], load().faults[case.fault]
    print(f"{fault.title.text_in(language)} [{case.name}]\n{fault.summary.text_in(language)}\n")

    def tell(step: str, text: str) -> None:
        print(f"{words[step]}:\n  {text.strip()[:600] or '-'}\n", flush=True)

    with new_run() as run:
        ward = Ward(run)
        try:
            print(f"{words['well']}: {run.folder}\n", flush=True)
            result = examine(Judge(tell, controls=False), case, ward)
        finally:
            ward.close()
    if result.skipped or result.invalid:
        print(result.skipped or result.invalid)
    return 0 if result.named and result.verified else 1
