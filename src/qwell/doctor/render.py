"""Diagnoses as JSON, as text for the terminal, and faults as pages of documentation.

Fills placeholders from evidence. Decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from qwell.doctor.catalogue import Catalogue
from qwell.doctor.diagnose import Diagnosis, Proof, Verdict
from qwell.doctor.fault import Bilingual, Fault, Harmless, Language, Remedy
from qwell.doctor.finding import Value
from qwell.doctor.reasons import reason_in

_PLACEHOLDER = re.compile(
    r"\{(container|path|port|next_port|host|module|library|model|threads|cpus|cores)\}"
)  # braces of nginx, docker templates and code stay as they are
_SAFE = re.compile(r"[\w./:@~+\-]{1,200}")
_KNOWN = {"port": "8000", "next_port": "8001"}
_INSTALLED_AS = {"qwell._native": "--force-reinstall qwell"}  # by module
MOST_PROOFS = 4
_WORDS_OF: dict[str, Bilingual] = {
    "fault": Bilingual("诊断", "Diagnosis"),
    "healthy": Bilingual("没有发现故障。", "Nothing is wrong here."),
    "unknown": Bilingual("还不能确定。", "This does not settle it yet."),
    "why": Bilingual("原因", "Why"),
    "seen": Bilingual("依据", "Evidence"),
    "fix": Bilingual("处理", "What to do"),
    "not": Bilingual("已排除", "Ruled out"),
    "next": Bilingual("下一步", "Next"),
    "verify": Bilingual("验证", "Verify"),
    "harmless": Bilingual("无害的消息", "Harmless messages"),
    "unread": Bilingual(
        "没有读的部分（中间的字节数；请把它拆开再试）",
        "Not read (bytes in the middle; give them in parts)",
    ),
    "possible": Bilingual("可能是", "It may be"),
    "see": Bilingual("现象", "What you see"),
    "how": Bilingual("如何判断", "How we know"),
    "references": Bilingual("出处", "Seen in"),
    "confused": Bilingual("容易混淆", "Looks alike"),
    "auto": Bilingual("自动", "automatic"),
    "confirm": Bilingual("需确认", "asks first"),
    "manual": Bilingual("手动", "by hand"),
}


def word(name: str, language: Language) -> str:
    return _WORDS_OF[name].text_in(language)


def filled(text: str, facts: Mapping[str, Value]) -> str:
    """Placeholders replaced by evidence; by a <name> to fill in where there is none.

    Evidence comes from pasted text: only what is a plain word or path gets into a command.
    """

    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        value = str(facts.get(name, _KNOWN.get(name, "")))
        if name == "module" and value in _INSTALLED_AS:
            return _INSTALLED_AS[value]
        return value if _SAFE.fullmatch(value) and not value.startswith("-") else f"<{name}>"

    return _PLACEHOLDER.sub(value_of, text)


def verdict_to_dict(verdict: Verdict, port: str = "") -> dict[str, Any]:
    """JSON-ready, as in `diagnose --json`; ``harmless`` and ``redacted`` come on top.

    port: of the server, for commands whose evidence names none.
    """
    return {
        "verdict": verdict.verdict,
        "faults": [diagnosis_to_dict(d, verdict.language, port) for d in verdict.diagnoses],
        "next": {
            "ask": _filled_both(verdict.next.ask, _facts_of(verdict)),
            "choices": [choice.to_dict() for choice in verdict.next.choices],
            "check": verdict.next.check,
        },
        "ms": round(verdict.ms, 1),
        "harmless": list(verdict.harmless),
        "redacted": dict(verdict.receipt),
        "unread": verdict.unread,
    }


def _facts_of(verdict: Verdict) -> Mapping[str, Value]:
    return verdict.diagnoses[0].facts if verdict.diagnoses else {}


def diagnosis_to_dict(diagnosis: Diagnosis, language: Language, port: str = "") -> dict[str, Any]:
    """port: of the server, for commands whose evidence names none."""
    fault = diagnosis.fault
    facts = {"port": port, **diagnosis.facts} if port else diagnosis.facts
    return {
        "id": fault.id,
        "p": round(diagnosis.p, 3),
        "layer": fault.layer,
        "title": _filled_both(fault.title, facts),
        "evidence": [_proof_to_dict(proof, fault, language) for proof in _best_proofs(diagnosis)],
        "ruled_out": [
            {"id": rival, "title": _title_of(rival), "because": because.text_in(language)}
            for rival, because in diagnosis.ruled_out
        ],
        "remedies": [remedy_to_dict(remedy, facts) for remedy in fault.remedies],
        "verify": list(fault.verify),
    }


def _title_of(fault_id: str) -> dict[str, str]:
    from qwell.doctor.catalogue import load

    known = load().faults.get(fault_id)
    return known.title.to_dict() if known else {"zh": fault_id, "en": fault_id}


def _best_proofs(diagnosis: Diagnosis) -> list[Proof]:
    """The strongest first; those of lines before those of words."""
    speaking = [proof for proof in diagnosis.proofs if proof.weight > 0]
    speaking.sort(key=lambda proof: (proof.line == 0, -proof.weight))
    once = {(proof.line, proof.text): proof for proof in reversed(speaking)}
    return list(reversed(once.values()))[:MOST_PROOFS]


def _proof_to_dict(proof: Proof, fault: Fault, language: Language) -> dict[str, Any]:
    return {
        "line": proof.line,
        "text": proof.text if proof.line else reason_in(proof.text, language),
        "why": fault.how.text_in(language),
        "source": proof.source,
        "weight": round(proof.weight, 2),
    }


def remedy_to_dict(remedy: Remedy, facts: Mapping[str, Value]) -> dict[str, Any]:
    return {
        "id": remedy.id,
        "safety": remedy.safety,
        "do": _filled_both(remedy.do, facts),
        "commands": [filled(command, facts) for command in remedy.commands],
    }


def _filled_both(text: Bilingual, facts: Mapping[str, Value]) -> dict[str, str]:
    return {"zh": filled(text.zh, facts), "en": filled(text.en, facts)}


# ---- the terminal


def verdict_to_text(verdict: Verdict, language: Language, harmless: tuple[Harmless, ...]) -> str:
    """For a person at a terminal; ends with what to do next."""
    lines: list[str] = []
    if verdict.verdict != "fault":
        lines.append(word(verdict.verdict, language))
    if verdict.unread:
        lines.append(f"{word('unread', language)}: {verdict.unread}")
    for which, diagnosis in enumerate(verdict.diagnoses):
        if which == 0 and verdict.verdict == "fault":
            lines += _first_to_lines(diagnosis, language)
        else:
            lines.append(f"{word('possible', language)}: {_headline(diagnosis, language)}")
    lines += [
        f"{word('harmless', language)}: {entry.summary.text_in(language)}"
        for entry in harmless
        if entry.id in verdict.harmless
    ]
    if ask := filled(verdict.next.ask.text_in(language), _facts_of(verdict)):
        lines.append(f"{word('next', language)}: {ask}")
    return "\n".join(lines)


def _headline(diagnosis: Diagnosis, language: Language) -> str:
    title = diagnosis.fault.title.text_in(language)
    return f"{title} [{diagnosis.fault.id}, {diagnosis.p:.0%}]"


def _first_to_lines(diagnosis: Diagnosis, language: Language) -> list[str]:
    fault = diagnosis.fault
    lines = [
        f"{word('fault', language)}: {_headline(diagnosis, language)}",
        f"  {fault.summary.text_in(language)}",
        f"{word('seen', language)}:",
    ]
    lines += [f"  {_cited(proof)}" for proof in _best_proofs(diagnosis)]
    lines.append(f"{word('fix', language)}:")
    for remedy in fault.remedies:
        safety = word(remedy.safety, language)
        lines.append(f"  - {filled(remedy.do.text_in(language), diagnosis.facts)} ({safety})")
        lines += [f"      {filled(command, diagnosis.facts)}" for command in remedy.commands]
    for rival, because in diagnosis.ruled_out:
        lines.append(f"{word('not', language)}: {rival} ({because.text_in(language)})")
    lines.append(f"{word('verify', language)}: qwell doctor ({', '.join(fault.verify)})")
    return lines


def _cited(proof: Proof) -> str:
    return f"{proof.line}: {proof.text}" if proof.line else proof.text


# ---- documentation


def fault_to_markdown(fault: Fault, language: Language, catalogue: Catalogue) -> str:
    """One page: what you see, why, how we know, what to do, what looks alike, where it was seen."""
    parts = [
        f"# {fault.title.text_in(language)}",
        f"`{fault.id}` · {fault.layer} · {fault.effect}",
        fault.summary.text_in(language),
        f"## {word('see', language)}\n\n{fault.see.text_in(language)}",
        f"## {word('why', language)}\n\n{fault.why.text_in(language)}",
        f"## {word('how', language)}\n\n{fault.how.text_in(language)}",
        f"## {word('fix', language)}\n\n"
        + "\n\n".join(_remedy_md(r, language) for r in fault.remedies),
        f"## {word('verify', language)}\n\n" + ", ".join(f"`{check}`" for check in fault.verify),
    ]
    alike = [catalogue.faults[i] for i in fault.confused_with if i in catalogue.faults]
    if alike:
        links = "\n".join(f"- [{a.title.text_in(language)}]({a.id}.md)" for a in alike)
        parts.append(f"## {word('confused', language)}\n\n{links}")
    if fault.references:
        listed = "\n".join(f"- {_link(reference)}" for reference in fault.references)
        parts.append(f"## {word('references', language)}\n\n{listed}")
    return "\n\n".join(parts) + "\n"


def _remedy_md(remedy: Remedy, language: Language) -> str:
    head = f"- {remedy.do.text_in(language)} ({word(remedy.safety, language)})"
    if not remedy.commands:
        return head
    commands = "\n".join(f"  {filled(command, {})}" for command in remedy.commands)
    return f"{head}\n\n  ```sh\n{commands}\n  ```"


def _link(reference: str) -> str:
    """A thread is written owner/name#number, everything else as its address."""
    if reference.startswith("https://"):
        return f"<{reference}>"
    repository, _, number = reference.partition("#")
    return f"[{reference}](https://github.com/{repository}/issues/{number})"
