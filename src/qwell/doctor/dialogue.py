"""The support dialogue: from a complaint or a log, one step at a time, to a verified fix.

A turn is what a person sends and what follows until it is the person's turn again. Rules and checks
decide everything (suspects.py, next_move.py, cure.py); a model may word a sentence. Ends always:
questions, diagnoses and turns are bounded. Knows no HTTP and no terminal.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from qwell.doctor import consult
from qwell.doctor.case import Case, Question, Reply, Said
from qwell.doctor.case_file import CaseFile
from qwell.doctor.catalogue import load
from qwell.doctor.checks import CHECKS
from qwell.doctor.cure import MAX_WATCHES, Cure
from qwell.doctor.dialogue_words import both
from qwell.doctor.finding import Finding, Status
from qwell.doctor.free_text import chosen
from qwell.doctor.next_move import CERTAIN, MAX_TURNS, Ask, HandOver, Name, NoFault, next_move
from qwell.doctor.phrasing import suggested
from qwell.doctor.preflight import PREFLIGHT
from qwell.doctor.question_bank import CLOSEST, IS_IT, OUTCOME, PLACES, UNSURE, WHERE, ask_outcome
from qwell.doctor.redact import redact
from qwell.doctor.scene import Scene, is_wrong
from qwell.doctor.suspects import Lineup, Suspect, has_log, line_up
from qwell.errors import QwellError

__all__ = ["MAX_TURNS", "Dialogue", "recover", "refusal"]
SHOWN_TEXT = 4000  # characters of what was sent, in the event that repeats it
_FEW_WORDS = 60  # characters that are rather an answer than news
_AGAIN = " again"  # a question's name with this: it was asked a second time
# what tells most about a server in the shortest time, whatever the complaint
BASICS = (
    "api.settings", "api.server", "api.identity", "api.awake", "api.key", "api.ready",
    "engine.worker", "engine.responsive", "engine.stable", "engine.accepts_model", "engine.loaded",
    "api.terminal_event", "api.storing", "network.stream_pacing", "network.websocket",
    "browser.page", "host.memory", "host.disk_space",
)  # fmt: skip
# what can keep a server from coming up, and shows on a machine without one
WHY_NO_START = (
    *PREFLIGHT,
    "model.present", "model.weights_present", "model.weights_complete", "model.weights_sound",
    "model.pack_sound", "dependency.installed", "dependency.native_loads",
)  # fmt: skip
log = logging.getLogger(__name__)


class Dialogue:
    """One turn on a scene. Use once."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._case = scene.case
        self._cure = Cure(scene)

    def turn(self, said: Said) -> None:
        """Sends events, of which exactly one, the last, is `done` or `error`. Never raises."""
        is_watch = self._case.state == "watching" and said.choice == "watch"
        self._case.turns += not is_watch
        text = redact(said.text)[0]
        self._open(said, text)
        try:
            self._act(said, text)
        except Exception as error:
            log.exception("a turn of the support dialogue broke")
            self._scene.fail(
                "internal-error",
                f"{type(error).__name__}: {error}"[:300],
                "send it again; the file of `qwell bundle` says more",
            )

    def _open(self, said: Said, text: str) -> None:
        case = self._case
        self._scene.event(
            "case",
            case=case.id,
            state="examining",
            turn=case.turns,
            lang=case.language,
            saved=self._scene.file.is_saved,
        )
        self._scene.event(
            "heard",
            text=text[:SHOWN_TEXT],
            lines=text.count("\n") + 1 if text.strip() else 0,
            choice=said.choice,
            consent=said.consent,
            own_log=said.is_own_log,
        )

    def _act(self, said: Said, text: str) -> None:
        state = self._case.state
        if said.choice == "undo":
            self._cure.undo()
            return
        if self._case.is_cut_off:
            self._cure.undo_cut_off()
        if self._case.turns > MAX_TURNS or self._case.watches > MAX_WATCHES:
            self._hand_over("limit")
        elif state == "awaiting_consent":
            self._on_remedy(said, text)
        elif state == "watching":
            self._on_outcome(said, text)
        elif state == "fixed":
            self._reopen(said, text)
        else:
            self._on_words(said, text)

    # ---- what the person sends

    def _on_remedy(self, said: Said, text: str) -> None:
        declines = said.choice == "decline" or _plain(text) == "decline"
        if said.consent and said.consent == self._case.remedy:
            if not self._cure.treat():
                self._go_on()
        elif declines:
            self._cure.decline()
            self._go_on()
        else:
            self._on_words(said, text)

    def _on_outcome(self, said: Said, text: str) -> None:
        word = said.choice or chosen(text, self._case.question or ask_outcome())
        ways = {
            "watch": self._cure.watch,
            "works": self._cure.check_word,
            "retry": self._cure.reload,
        }
        if word in ways:
            if not ways[word]():
                self._wait_or_go_on()
        elif word == "still_broken":
            self._cure.did_not_help()
            self._go_on()
        elif word == "decline":
            self._cure.decline()
            self._go_on()
        else:
            self._case.question = None
            self._on_words(said, text)

    def _wait_or_go_on(self) -> None:
        """The person's step goes on, unless it has brought up the next trouble."""
        if self._cure.names_another:
            self._cure.is_overcome()
            self._scene.look([*self._case.findings])  # what was seen before is of the past
            self._go_on()
        else:
            self._cure.keep_waiting()

    def _reopen(self, said: Said, text: str) -> None:
        """It came back: what fixed it counts as tried."""
        self._case.verified_by = ""
        self._on_words(said, text)

    def _on_words(self, said: Said, text: str) -> None:
        question = self._case.question
        choice = self._choice(said, text, question)
        if question is not None and choice:
            self._case.replies.append(Reply(question.id, choice, question.about))
            text = self._place(choice) if question.id == WHERE else ""
        self._scene.say(self._opening(said, text, choice))
        before = line_up(self._case)
        self._case.add_text(text)
        self._case.take(said.findings)
        after = line_up(self._case)
        if text and not choice and self._asks_again(question, text, after):
            return
        self._tell_cited(before, after)
        if text or said.findings:
            found = [*said.findings, *self._examine(after)]
            found += self._examine(line_up(self._case))  # what only a check has brought up
            self._tell_that_all_is_well(found)
        self._go_on()

    def _tell_that_all_is_well(self, found: Sequence[Finding]) -> None:
        """Where it is, and where something could be looked at."""
        status = {finding.check: finding.status for finding in found}
        if any(is_wrong(finding) for finding in found) or not found:
            return
        is_up = status.get("api.server", Status.PASS) is Status.PASS
        self._scene.say("all_pass" if is_up else "no_server")

    def _choice(self, said: Said, text: str, question: Question | None) -> str:
        if question is None or question.id == OUTCOME:
            return ""
        if said.choice in question.choice_ids:
            return said.choice
        return "" if said.choice else chosen(text, question)

    def _opening(self, said: Said, text: str, choice: str) -> str:
        if not text or choice:
            return "heard"
        if said.is_own_log:
            return "opening_own_log"
        if not self._scene.clinic.has_patient:
            return "opening_away"
        if self._case.texts:
            return "again"
        return "opening_log" if has_log(text) else "opening"

    def _place(self, choice: str) -> str:
        """The label of a place, as if the person had written it."""
        labels = {place.id: place.label for place in PLACES}
        return labels[choice].text_in(self._case.language) if choice != UNSURE else ""

    def _asks_again(self, question: Question | None, text: str, after: Lineup) -> bool:
        """Once more, where a few words are none of the choices and settle nothing.

        What the model makes of them is a hint, and no more.
        """
        if question is None or not question.id.startswith((IS_IT, CLOSEST)):
            return False
        is_news = len(text) > _FEW_WORDS or "\n" in text
        is_settled = isinstance(next_move(self._case, after), Name)
        if is_news or is_settled or question.id + _AGAIN in self._case.asked:
            return False
        self._case.asked.append(question.id + _AGAIN)
        labels = [choice.label.text_in(self._case.language) for choice in question.choices]
        which = suggested(self._scene.writer, text, labels)
        hint = question.choice_ids[which] if which >= 0 else None
        self._scene.say("again_question")
        self._put(question, hint)
        return True

    # ---- looking

    def _examine(self, lineup: Lineup) -> list[Finding]:
        """The checks that may tell the suspects apart, at once; each is shown when it is there."""
        if not self._scene.clinic.has_patient:
            return []
        known = self._case.findings
        names = [*relevant(lineup), *(WHY_NO_START if self._is_down() else ())]
        return self._scene.look([name for name in names if name not in known])

    def _is_down(self) -> bool:
        """No server tells what keeps it from answering: the machine itself has to."""
        found = self._case.findings.get("api.server")
        return found is not None and found.status is not Status.PASS

    def _tell_cited(self, before: Lineup, after: Lineup) -> None:
        known = {item["line"] for item in before.cited}
        new = [self._placed(item) for item in after.cited if item["line"] not in known]
        if new:
            self._scene.event("evidence", lines=new)

    def _placed(self, item: dict[str, object]) -> dict[str, object]:
        """Where the line stands in the message that it came with."""
        line, part = int(str(item["line"])), 0
        for text in self._case.texts[:-1]:
            n_lines = text.count("\n") + 2  # and the blank line between two messages
            if line <= n_lines:
                break
            line -= n_lines
            part += 1
        return {**item, "part": part, "line_in_part": line}

    # ---- what comes next

    def _go_on(self) -> None:
        """Ask, name and offer, or end. Each round asks something new or rules a fault out."""
        while True:
            lineup = line_up(self._case)
            match next_move(self._case, lineup):
                case Ask(question):
                    self._case.asked.append(question.id)
                    self._put(question, None)
                    return
                case Name(suspect):
                    if self._offer(suspect, lineup):
                        return
                    self._case.refuted.append(suspect.id)
                case NoFault(because):
                    self._no_fault(because, lineup)
                    return
                case HandOver(because):
                    self._hand_over(because)
                    return

    def _put(self, question: Question, hint: str | None) -> None:
        self._case.question, self._case.remedy = question, ""
        self._scene.event("ask", **question.to_dict(), suggested=hint)
        self._scene.end("asking")

    def _offer(self, suspect: Suspect, lineup: Lineup) -> bool:
        """Name the fault and show its next remedy; False when none is left."""
        remedy = self._cure.next_remedy(suspect)
        if self._case.fault != suspect.id:
            self._name(suspect, lineup)
        if remedy is None:
            return False
        self._cure.offer(suspect, remedy)
        return True

    def _name(self, suspect: Suspect, lineup: Lineup) -> None:
        case = self._case
        again = case.n_named > 0
        case.fault, case.remedy, case.question = suspect.id, "", None
        case.n_named += 1
        fault = consult.find_fault(suspect.id)
        self._scene.event(
            "diagnosis",
            fault=suspect.fault,
            summary=fault.summary.to_dict(),
            seen=suspect.is_seen,
            others=[other.id for other in lineup.suspects if other.id != suspect.id],
            n=case.n_named,
        )
        key = "next_candidate" if again else "diagnosis" if suspect.p >= CERTAIN else "likely"
        language = case.language
        texts = (fault.title, fault.summary, fault.why, fault.see)
        known = [text.text_in(language) for text in texts]
        self._scene.say_well(key, known, title=known[0], summary=known[1])
        if self._scene.clinic.has_patient and not suspect.is_seen and self._passes(fault.verify):
            self._scene.say("elsewhere")

    def _passes(self, names: Sequence[str]) -> bool:
        found = [self._case.findings[name] for name in names if name in self._case.findings]
        return bool(found) and all(finding.status.value == "pass" for finding in found)

    def _no_fault(self, because: str, lineup: Lineup) -> None:
        known = {entry.id: entry for entry in load().harmless}
        said = [known[i].summary for i in lineup.harmless if i in known]
        if because == "harmless" and said:
            summary = said[0].text_in(self._case.language)
            self._scene.say("harmless", summary=summary)
        else:
            self._scene.say("ordinary" if because == "ordinary" else "healthy")
        self._scene.end("no_fault")

    def _hand_over(self, because: str) -> None:
        is_named = because == "unknown" and bool(self._case.n_named)
        self._case.question, self._case.remedy = None, ""
        self._scene.say("no_remedy" if is_named else because)
        self._scene.event(
            "handover",
            bundle=f"/api/support/{self._case.id}/bundle",
            summary=both("handover").to_dict(),
        )
        self._scene.end("handed_over")


def relevant(lineup: Lineup) -> list[str]:
    """Checks of the suspects, their rivals and their causes, and what tells most anyway."""
    known = load().faults
    ids = [suspect.id for suspect in lineup.suspects]
    ids += [rival for i in ids[:1] if i in known for rival in known[i].confused_with]
    ids += [fault.id for fault in known.values() if not set(ids[:1]).isdisjoint(fault.explains)]
    own = [name for i in ids for name in consult.find_fault(i).verify]
    names = [*own, *BASICS] if ids else [*BASICS, *PREFLIGHT]
    return [name for name in dict.fromkeys(names) if name in CHECKS]


def recover(file: CaseFile) -> None:
    """End a turn that a crash cut off, so that what was sent can be sent again."""
    if not file.is_interrupted:
        return
    case = file.case
    undo = f"; or take back what was changed: qwell support --case {case.id} --undo"
    file.add(
        "error",
        {
            "code": "case-interrupted",
            "title": "Case interrupted",
            "cause": "the program ended in the middle of this step",
            "fix": "send it again" + (undo if case.is_cut_off else ""),
            "request_id": "",
        },
    )


def _plain(text: str) -> str:
    return chosen(text, ask_outcome())


def refusal(case: Case, said: Said) -> QwellError | None:
    """Why this cannot be said now; None when it can."""
    if said.consent and (case.state != "awaiting_consent" or said.consent != case.remedy):
        return _unfit(f"consent to {said.consent[:80]!r}", "the remedy that was offered last")
    if said.choice and said.choice not in choices_now(case):
        expected = ", ".join(choices_now(case)) or "no choice now"
        return _unfit(f"the choice {said.choice[:80]!r}", expected)
    return None


def choices_now(case: Case) -> tuple[str, ...]:
    """The choices that may be sent where the case stands."""
    undo = ("undo",) if case.can_undo else ()
    match case.state:
        case "asking":
            return case.question.choice_ids if case.question else ()
        case "awaiting_consent":
            return ("decline", *undo)
        case "watching":
            return ("watch", *(case.question or ask_outcome()).choice_ids, *undo)
        case "fixed":
            return ("undo",)
        case _:
            return ()


def _unfit(found: str, expected: str) -> QwellError:
    return QwellError(
        "invalid-request-body",
        found=found,
        expected=expected,
        fix="send one of the choices of the last question, or text",
    )
