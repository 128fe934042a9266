"""Names, proxies, certificates, model hubs, and what a reverse proxy does to a stream.

Reaches out only where something is needed from there: a machine that has its model is well
without a network.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from qwell.doctor.address import is_everywhere, is_loopback
from qwell.doctor.finding import Facts, Outcome, check, failed, passed, skipped, warned
from qwell.doctor.model_files import model_place, packs
from qwell.doctor.model_sources import answering, hub_url, probe_sources
from qwell.doctor.pacing import measure_pacing, spread

if TYPE_CHECKING:
    from qwell.doctor.answer import Answer
    from qwell.doctor.system import System

OURS = ("api.identity",)
WANTED = ("network.hub_wanted",)
_PROXY_VARIABLES = (
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
)
_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_BODY_BYTES = 1_500_000  # a long conversation; nginx lets one million through by itself
_SKEW_S = 300
SILENCE_S, DEEP_SILENCE_S = 6.0, 35.0  # longer than from ping to ping, and than most waits


# ---- on the way to the server


@check("network.name", layer="network")
def name(system: System) -> Outcome:
    """The server's name can be resolved."""
    try:
        addresses = system.resolve(system.host)
    except OSError as error:
        return failed("the name is unknown", "getaddrinfo", host=system.host, error=str(error))
    return passed("getaddrinfo", host=system.host, address=addresses[0])


@check("network.address", layer="network")
def address(system: System) -> Outcome:
    """The address can be called, from wherever it is called."""
    if system.is_url_given and is_everywhere(system.host):
        return failed("an address to listen on, not to call", "url", url=system.url)
    return passed("url", url=system.url)


@check("network.route", layer="network", needs=("network.name",), timeout_s=8.0)
def route(system: System) -> Outcome:
    """Packets come through to the server's port."""
    port = urlsplit(system.url).port or (443 if system.url.startswith("https") else 80)
    how = system.connect(system.host, port, 5.0)
    if how == "timeout":
        return failed("no answer at all", "connect", host=system.host, port=port, how=how)
    if how == "unreachable":
        why = "refused on the way, or the machine is off or has another address"
        return failed(why, "connect", host=system.host, port=port, how=how)
    return passed("connect", host=system.host, port=port)


@check("network.proxy_for_localhost", layer="network")
def proxy_for_localhost(system: System) -> Outcome:
    """No proxy variable sends calls to this machine away from it."""
    named = [n for n in _PROXY_VARIABLES if system.environ.get(n)]
    spared = system.environ.get("no_proxy") or system.environ.get("NO_PROXY") or ""
    names = {part.strip() for part in spared.split(",")}
    if not named:
        return passed("environment")
    if names & {"*", "localhost", "127.0.0.1", "127.0.0.0/8"}:
        return passed("environment", variable=named[0], no_proxy=spared)
    return failed("a proxy also gets calls to localhost", "environment", variable=named[0])


@check("network.proxy_form", layer="network")
def proxy_form(system: System) -> Outcome:
    """Proxy variables hold addresses that programs understand."""
    for variable in _PROXY_VARIABLES:
        value = system.environ.get(variable, "")
        if value and not re.match(r"(https?|socks[45]h?)://[^/\s]+", value):
            return warned("no address of a proxy", "environment", variable=variable)
    return passed("environment")


@check("network.certificate", layer="network", needs=("network.name",), timeout_s=6.0)
def certificate(system: System) -> Outcome:
    """The server's certificate is trusted and names it."""
    if not system.url.startswith("https"):
        return skipped("no TLS is used")
    return _certificate(system, system.url)


def _certificate(system: System, url: str) -> Outcome:
    import ssl

    host = urlsplit(url).hostname or ""
    try:
        system.http(url, method="HEAD", timeout_s=5.0)
    except OSError as error:
        reason = getattr(error, "reason", error)
        if not isinstance(reason, ssl.SSLError):
            return skipped(str(reason), host=host)
        text = str(getattr(reason, "verify_message", "") or reason)
        if "not yet valid" in text:
            return failed("not valid yet: or the clock is behind", "TLS", host=host, clock=text)
        return failed("the certificate is not trusted", "TLS", host=host, error=text)
    return passed("TLS", host=host)


@check("network.clock_agrees", layer="network", needs=OURS)
def clock_agrees(system: System) -> Outcome:
    """The server's clock and this one show the same time."""
    answer = system.get("/version")
    text = answer.headers.get("date", "") if answer is not None else ""
    if not text:
        return skipped("the server tells no time")
    from email.utils import parsedate_to_datetime

    apart = abs(parsedate_to_datetime(text).timestamp() - system.now())
    if apart > _SKEW_S:
        return failed("the clocks differ", "Date", seconds=round(apart))
    return passed("Date", seconds=round(apart))


# ---- what is between us and the server


@check("network.stream_pacing", layer="network", needs=("api.key",), timeout_s=12.0)
def stream_pacing(system: System) -> Outcome:
    """A stream arrives piece by piece, as it is sent."""
    measured = measure_pacing(system)
    if measured.error or measured.head.status != 200:
        return skipped(measured.error or f"status {measured.head.status}")
    if "content-encoding" in measured.head.headers:
        return skipped("compressed: network.stream_plain says so")
    share = spread(measured)
    facts: Facts = {"via": via(measured.head), "n_frames": len(measured.frames)}
    if share < 0.5:
        # a machine under load may bunch frames once: a second measurement must agree
        again = measure_pacing(system, again=True)
        if again.frames and spread(again) < 0.5:
            facts["spread"] = round(spread(again), 2)
            return failed("the stream arrives in one piece", "/api/selftest/stream", **facts)
    return passed("/api/selftest/stream", spread=round(share, 2), **facts)


def via(answer: Answer) -> str:
    """What says that it stands between: nginx, a Via header; empty for a direct connection."""
    return answer.headers.get("via") or answer.headers.get("server") or ""


@check("network.stream_plain", layer="network", needs=("api.key",), timeout_s=12.0)
def stream_plain(system: System) -> Outcome:
    """Nobody compresses the stream: compressors wait for more before they let anything out."""
    measured = measure_pacing(system)
    encoding = measured.head.headers.get("content-encoding", "")
    if encoding not in ("", "identity"):
        facts: Facts = {"encoding": encoding, "via": via(measured.head)}
        return failed("the stream is compressed", "Content-Encoding", **facts)
    return passed("Content-Encoding")


@check("network.silence", layer="network", needs=("network.stream_pacing",), timeout_s=45.0)
def silence(system: System) -> Outcome:
    """A stream that is silent for some seconds is not cut."""
    if not via(measure_pacing(system).head) and system.is_near:
        return skipped("nothing stands between")
    gap_s = DEEP_SILENCE_S if system.once("is deep", lambda: False) else SILENCE_S
    try:
        head, frames = system.frames(
            f"/api/selftest/stream?n=2&every_ms={int(gap_s * 1e3)}", timeout_s=gap_s + 5
        )
    except OSError as error:
        return failed(
            "the silent stream was cut", "/api/selftest/stream", error=str(error), gap_s=gap_s
        )
    facts: Facts = {"gap_s": gap_s, "via": via(head), "status": head.status}
    if head.status in (502, 504) or (head.status == 200 and len(frames) < 2):
        return failed("the silent stream was cut", "/api/selftest/stream", **facts)
    return passed("/api/selftest/stream", **facts)


@check("network.websocket", layer="network", needs=("api.key",))
def websocket(system: System) -> Outcome:
    """The switch to WebSocket comes through."""
    try:
        answer = system.handshake("/ws/chat")
    except OSError as error:
        return failed("the handshake was cut", "GET /ws/chat", error=str(error), status=0)
    facts: Facts = {"status": answer.status, "via": via(answer)}
    if answer.status != 101:
        return failed("no switch to WebSocket", "GET /ws/chat", **facts)
    return passed("GET /ws/chat", **facts)


@check("network.body_size", layer="network", needs=("api.key",), timeout_s=10.0)
def body_size(system: System) -> Outcome:
    """A long conversation may be sent."""
    if system.is_near and not via(measure_pacing(system).head):
        return skipped("nothing stands between")
    body = json.dumps({"padding": "x" * _BODY_BYTES}).encode()
    try:
        answer = system.http("/api/selftest/body", method="POST", body=body, timeout_s=8.0)
    except OSError as error:
        return failed("the request was cut", "POST /api/selftest/body", error=str(error), status=0)
    facts: Facts = {"status": answer.status, "bytes": len(body), "via": via(answer)}
    if answer.status == 413:
        return failed("too large for what stands between", "POST /api/selftest/body", **facts)
    return passed("POST /api/selftest/body", **facts)


# ---- where models come from


@check("network.hub_wanted", layer="network", needs=("host.local",))
def hub_wanted(system: System) -> Outcome:
    """A model still has to be fetched, so that the way there matters."""
    if packs(system) or model_place(system).path is not None:
        return skipped("the model is here: nothing has to be fetched")
    return passed(model=system.settings.model)


@check("network.hub_allowed", layer="network", needs=WANTED)
def hub_allowed(system: System) -> Outcome:
    """Fetching is not switched off."""
    value = system.environ.get("HF_HUB_OFFLINE", "")
    if value.upper() in ("1", "ON", "YES", "TRUE"):
        return failed("offline mode is on and no model is here", "HF_HUB_OFFLINE", value=value)
    return passed("HF_HUB_OFFLINE")


@check("network.hub_address", layer="network", needs=WANTED)
def hub_address(system: System) -> Outcome:
    """HF_ENDPOINT, where set, is the address of a hub."""
    value = system.environ.get("HF_ENDPOINT", "")
    if value and not re.fullmatch(r"https?://[^/\s]+/?", value):
        return failed("no address of a hub", "HF_ENDPOINT", value=value)
    return passed("HF_ENDPOINT", value=value)


@check("network.hub_name", layer="network", needs=("network.hub_address",), timeout_s=8.0)
def hub_name(system: System) -> Outcome:
    """The hub's name can be resolved, unless a proxy does that or another source answers."""
    host = urlsplit(hub_url(system.environ)).hostname or ""
    if any(system.environ.get(n) for n in _PROXY_VARIABLES):
        return skipped("a proxy resolves names")
    if answering(system):
        return passed("HEAD", answers=answering(system)[0])
    try:
        system.resolve(host)
    except OSError as error:
        return failed("the name is unknown", "getaddrinfo", host=host, error=str(error))
    return passed("getaddrinfo", host=host)


@check("network.hub_certificate", layer="network", needs=("network.hub_address",), timeout_s=10.0)
def hub_certificate(system: System) -> Outcome:
    """The hub's certificate is trusted here, unless another source answers."""
    if answering(system):
        return passed("HEAD", answers=answering(system)[0])
    return _certificate(system, hub_url(system.environ))


@check("network.hub", layer="network", needs=("network.hub_address",), timeout_s=8.0)
def hub(system: System) -> Outcome:
    """Some place that has models answers."""
    if found := answering(system):
        return passed("HEAD", answers=found[0])
    url = hub_url(system.environ)
    errors = probe_sources(system)
    facts: Facts = {"url": url, "error": errors[url], "tried": " ".join(errors)}
    return failed("no source of models answers", "HEAD", **facts)


@check("network.hub_token", layer="network", needs=WANTED)
def hub_token(system: System) -> Outcome:
    """HF_TOKEN, where set, has the form of a token."""
    value = system.environ.get("HF_TOKEN", "")
    if value and not re.fullmatch(r"hf_\w{20,}", value.strip()):
        return failed("no token of the hub", "HF_TOKEN", characters=len(value))
    return passed("HF_TOKEN", is_set=bool(value))


@check("network.ca_files", layer="network")
def ca_files(system: System) -> Outcome:
    """Files of trusted certificates that the environment names exist."""
    for variable in _CA_VARIABLES:
        value = system.environ.get(variable, "")
        if value and not Path(value).exists():
            return failed("a file of certificates is missing", variable, path=value)
    return passed("environment")


@check("network.reachable_from_outside", layer="network", needs=("api.server", "host.local"))
def reachable_from_outside(system: System) -> Outcome:
    """Where others are meant to connect, no firewall of this machine stands in the way."""
    settings = system.settings
    if is_loopback(settings.host) or not is_everywhere(settings.host):
        return skipped("the server is meant for this machine or one network")
    own = [a for a in _own_addresses(system) if not is_loopback(a)]
    if not own:
        return skipped("this machine has no other address")
    how = system.connect(own[0], settings.port)
    if how == "timeout":
        return failed("packets are dropped", "connect", address=own[0], port=settings.port)
    return passed("connect", address=own[0], how=how)


def _own_addresses(system: System) -> list[str]:
    try:
        return system.resolve((system.kernel("/etc/hostname") or "").strip() or "localhost")
    except OSError:
        return []
