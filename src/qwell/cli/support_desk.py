"""Where a support dialogue runs: in this process, or at a server. Prints nothing."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from qwell.cli.language import Language
from qwell.errors import QwellError

if TYPE_CHECKING:
    from qwell.doctor.case_file import CaseFile
    from qwell.doctor.system import System

Event = Mapping[str, Any]
Show = Callable[[Event], None]
_PATIENCE_S = 300.0


class Desk(Protocol):
    """case is "" before the first turn."""

    case: str

    def turn(self, body: Mapping[str, Any], show: Show) -> Event:
        """Send one turn, show its events as they come, return the last. Raises QwellError."""

    def last_turn(self) -> list[Event]:
        """The events of the turn that ended last, to go on with a case."""

    def bundle(self) -> str:
        """Where the file for a helper is."""


class LocalDesk:
    """Without a server: checks and treats from here."""

    def __init__(self, look: Callable[[], System], language: Language, case: str) -> None:
        from qwell.doctor.case_file import CaseFolder

        self._look = look
        self._data: Path = look().settings.data_path
        self._folder = CaseFolder(self._data)
        self._language = language
        self.case = case
        if case:
            self._file()

    def turn(self, body: Mapping[str, Any], show: Show) -> Event:
        from qwell.doctor.case import Said
        from qwell.doctor.dialogue import Dialogue, refusal
        from qwell.doctor.scene import Scene

        file = self._file()
        said = Said(body.get("text", ""), body.get("choice", ""), body.get("consent", ""))
        if refused := refusal(file.case, said):
            raise refused
        stop = threading.Event()
        scene = Scene(file, self._clinic(file), show, cancelled=stop)
        try:
            Dialogue(scene).turn(said)
        except KeyboardInterrupt:
            stop.set()
            raise
        return file.events[-1]

    def _file(self) -> CaseFile:
        from qwell.doctor.dialogue import recover

        file = self._folder.get(self.case) if self.case else self._folder.new(self._language)
        if file is None:
            raise unknown(self.case)
        recover(file)
        self.case = file.case.id
        return file

    def _clinic(self, file: CaseFile) -> Any:
        from qwell.cli.doctor_fix import LocalHands
        from qwell.doctor.clinic import LocalClinic
        from qwell.doctor.journal import Journal

        hands = LocalHands(self._look().settings)
        return LocalClinic(self._look, hands, Journal(self._data), file)

    def last_turn(self) -> list[Event]:
        return of_last_turn(self._file().events)

    def bundle(self) -> str:
        from qwell.doctor.bundle import Bundle, collect, write_bundle

        file = self._file()
        findings = tuple(file.case.findings.values())
        content = collect(self._look(), findings).content
        case = {"case": file.case.brief(), "said": file.case.texts, "events": file.events}
        return str(write_bundle(Bundle({**content, **case}, findings), Path.cwd()))


class ServerDesk:
    """At a server, over HTTP."""

    def __init__(self, url: str, key: str, language: Language | None, case: str) -> None:
        self._url = urlsplit(url)
        self._key = key
        self._language = language
        self.case = case

    def turn(self, body: Mapping[str, Any], show: Show) -> Event:
        sent = {"case": self.case or None, "lang": self._language, **body}
        last: Event = {}
        connection = self._connect()
        try:
            response = self._ask(connection, "POST", "/api/support", sent)
            for line in response:
                if line.startswith(b"data: "):
                    last = json.loads(line[6:])
                    self.case = last.get("case", self.case)
                    show(last)
        finally:
            connection.close()
        return last

    def last_turn(self) -> list[Event]:
        connection = self._connect()
        try:
            whole = json.load(self._ask(connection, "GET", f"/api/support/{self.case}", None))
        finally:
            connection.close()
        return of_last_turn(whole["events"])

    def bundle(self) -> str:
        return f"{self._url.geturl()}/api/support/{self.case}/bundle"

    def _connect(self) -> http.client.HTTPConnection:
        is_tls = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if is_tls else http.client.HTTPConnection
        return kind(self._url.netloc, timeout=_PATIENCE_S)

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
    ) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            connection.request(
                method, self._url.path + path, json.dumps(body) if body else None, headers
            )
            response = connection.getresponse()
        except OSError as error:
            raise QwellError(
                "backend-not-listening",
                found=f"{self._url.geturl()}: {error}",
                expected="a running server",
                fix="leave out --url to be helped without a server",
            ) from error
        if response.status != 200:
            raise _refused(response)
        return response


def of_last_turn(events: Sequence[Event]) -> list[Event]:
    starts = [n for n, event in enumerate(events) if event["type"] == "case"]
    return list(events[starts[-1] :]) if starts else []


def unknown(case: str) -> QwellError:
    return QwellError(
        "case-unknown",
        found=f"no support case {case[:64]!r}",
        expected="the id that an earlier `qwell support` printed",
        fix="qwell support",
    )


def _refused(response: http.client.HTTPResponse) -> QwellError:
    """The server's own refusal."""
    try:
        body = json.load(response)
    except ValueError:
        body = {}
    fault = str(body.get("type", "/faults/api-returns-html")).rpartition("/")[2]
    return QwellError(
        fault,
        found=str(body.get("detail", f"status {response.status}")),
        expected=str(body.get("expected", "the events of a support dialogue")),
        fix=str(body.get("fix", "check the address: it must be a qwell server")),
    )
