"""What stands between a person and the server, and between the server and the world."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from qwell.lab.ask import ask
from qwell.lab.case import Effect, NotInjected, injector
from qwell.lab.patient import Patient, free_port
from qwell.lab.rig.certificates import authority
from qwell.lab.rig.namespaces import own_network
from qwell.lab.rig.nginx import GOOD, Nginx, nginx


def _without(*starts: str, plus: str = "") -> str:
    """The good lines but for those that begin so, and others."""
    kept = [line for line in GOOD.splitlines() if not line.startswith(starts)]
    return "\n".join([*kept, plus])


def _behind(
    fault: str,
    variant: str,
    lines: str,
    trouble: Callable[[Patient, Nginx], str],
    *,
    clue: str,
    quick: bool = False,
    script: str = '{"token_delay_s": 0.05}',
    extra: str = "",
    is_second: bool = False,
) -> None:
    """Declare a case of a reverse proxy; by hand, the written lines are put into it.

    is_second: a good one stands between it and the server
    """

    def inject(patient: Patient) -> Iterator[Effect]:
        with ExitStack() as stack:
            stack.enter_context(patient.stopped())
            stack.enter_context(patient.with_environ(QWELL_SCRIPT=script))
            patient.start()
            inner = stack.enter_context(nginx(patient)).port if is_second else 0
            further = extra.format(port=patient.port)
            proxy = stack.enter_context(nginx(patient, lines, further, target=inner))
            yield Effect(
                proof=f"nginx: {' '.join(lines.split())}",
                trouble=lambda: trouble(patient, proxy),
                clue=clue,
                by_hand=lambda: proxy.change(GOOD),
                flags=("--url", proxy.url),
            )

    inject.__doc__ = f"nginx with: {' '.join(lines.split())}."
    injector(fault, variant, programs=("nginx",), quick=quick)(inject)


def _in_one_piece(_patient: Patient, proxy: Nginx) -> str:
    """A person waits, and then sees everything at once."""
    chat = ask(proxy.url, "tell me something that takes a second or so")
    if chat.error:
        return chat.error
    return "the answer comes in one piece" if chat.first_s > 0.7 * chat.total_s else ""


def _compressed(_patient: Patient, proxy: Nginx) -> str:
    chat = ask(proxy.url, "tell me something")
    return chat.error


def _no_socket(_patient: Patient, proxy: Nginx) -> str:
    from qwell.doctor.http_door import HttpDoor

    status = HttpDoor(proxy.url, "").handshake("/ws/chat", 5.0).status
    return "" if status == 101 else f"WebSocket connection failed: status {status}"


def _too_large(_patient: Patient, proxy: Nginx) -> str:
    """A person pastes a long text."""
    return ask(proxy.url, "long text " * 20_000).error if _is_refused(proxy) else ""


def _is_refused(proxy: Nginx) -> bool:
    from qwell.doctor.http_door import HttpDoor

    answer = HttpDoor(proxy.url, "").ask(
        "/api/selftest/body", method="POST", body=b"x" * 1_400_000, headers={}, timeout_s=10
    )
    return answer.status == 413


def _cut_off(_patient: Patient, proxy: Nginx) -> str:
    """A person waits for an answer that takes its time to begin."""
    return ask(proxy.url, "think about this for a while").error


_IGNORED = """\
proxy_buffering on;
proxy_ignore_headers X-Accel-Buffering;
proxy_buffer_size 64k;
proxy_buffers 8 64k;"""
# a second proxy before the first, as nginx is without further words: with HTTP 1.0, in which an
# answer has no pieces that could be passed on one by one
_SOCKET_ALONE = f"location /ws/ {{{{ proxy_pass http://127.0.0.1:{{port}}; {GOOD} }}}}"
_behind(
    "proxy-buffering", "nginx-buffers",
    _without("proxy_buffering", "proxy_http_version", "proxy_set_header Connection", plus=_IGNORED),
    _in_one_piece, clue="spread", extra=_SOCKET_ALONE,
    is_second=True,
)  # fmt: skip
_ZIP = "gzip on;\ngzip_proxied any;\ngzip_types text/event-stream;\ngzip_min_length 0;"
_behind(
    "gzip-buffers-stream", "nginx-zips", _without(plus=_ZIP), _compressed, clue="gzip", quick=True
)
_behind(
    "ws-upgrade-missing", "no-upgrade-header", _without("proxy_set_header Upgrade",
    "proxy_set_header Connection"), _no_socket, clue="/ws/chat",
)  # fmt: skip
_behind(
    "ws-upgrade-missing", "http-1.0", _without("proxy_set_header Upgrade",
    "proxy_set_header Connection", "proxy_http_version"), _no_socket, clue="/ws/chat",
)  # fmt: skip
_behind(
    "proxy-body-too-large", "100-kB", _without("client_max", plus="client_max_body_size 100k;"),
    _too_large, clue="413",
)  # fmt: skip
_behind(
    "proxy-read-timeout", "2-seconds", _without("proxy_read", plus="proxy_read_timeout 2s;"),
    _cut_off, clue="silent", script='{"prompt_delay_s": 3.5}',
)  # fmt: skip


# ---- TLS


def _certificate(variant: str, name: str, *, is_expired: bool, is_trusted: bool) -> None:
    """Declare a case of a certificate that browsers refuse; by hand, a good one is installed."""

    def inject(patient: Patient) -> Iterator[Effect]:
        with ExitStack() as stack:
            bad = stack.enter_context(
                authority(patient.folder / "bad", name, is_expired=is_expired)
            )
            good = stack.enter_context(authority(patient.folder / "good"))
            trusted = patient.folder / "trusted.pem"
            trusted.write_bytes(good.ca.read_bytes() + (bad.ca.read_bytes() if is_trusted else b""))
            stack.callback(trusted.unlink)

            def lines(cert: object, key: object) -> str:
                return f"ssl_certificate {cert};\nssl_certificate_key {key};"

            proxy = stack.enter_context(nginx(patient, GOOD, lines(bad.cert, bad.key), "ssl"))
            proxy.name = "localhost"
            stack.enter_context(patient.with_environ(SSL_CERT_FILE=str(trusted)))

            def trouble() -> str:
                code = f"import urllib.request as u; u.urlopen('{proxy.url}/version', timeout=9)"
                done = patient.python(code)
                return done.stdout.strip().rpartition("\n")[2] if done.returncode else ""

            yield Effect(
                proof=f"certificate for {name}, expired: {is_expired}, trusted: {is_trusted}",
                trouble=trouble,
                clue="localhost",
                by_hand=lambda: proxy.change(GOOD, lines(good.cert, good.key), "ssl"),
                flags=("--url", f"https://localhost:{proxy.port}"),
            )

    inject.__doc__ = f"A certificate for {name}: {variant}."
    injector(
        "tls-verify-failed", variant, programs=("nginx",), modules=("trustme",),
        quick=variant == "expired",
    )(inject)  # fmt: skip


_certificate("expired", "localhost", is_expired=True, is_trusted=True)
_certificate("other-name", "chat.example.com", is_expired=False, is_trusted=True)
_certificate("unknown-authority", "localhost", is_expired=False, is_trusted=False)


# ---- proxies of the environment, names, firewalls


class _Refusing(http.server.BaseHTTPRequestHandler):
    """A company's proxy: it knows nothing of this machine's loopback."""

    def do_GET(self) -> None:
        self.send_response(403, "Forbidden by policy")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


@contextmanager
def _company_proxy() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@injector("http-proxy-env-intercepts-localhost", "without-no-proxy", quick=True, uses="environ")
def intercepting_proxy(patient: Patient) -> Iterator[Effect]:
    """http_proxy is set, and nothing spares this machine."""
    with _company_proxy() as url, ExitStack() as inside:
        inside.enter_context(patient.with_environ(http_proxy=url, no_proxy=""))

        def trouble() -> str:
            code = f"import urllib.request as u; u.urlopen('{patient.url}/health', timeout=9)"
            done = patient.python(code)
            return done.stdout.strip().rpartition("\n")[2] if done.returncode else ""

        yield Effect(
            proof=f"http_proxy={url}", trouble=trouble, clue="http_proxy", by_hand=inside.close
        )


@injector("dns-failure", "network-without-names", who="none", root=True, programs=("ip",))
def no_names(patient: Patient) -> Iterator[Effect]:
    """A model has to be fetched, and no name can be resolved."""
    with own_network(patient.run) as net, ExitStack() as inside:
        inside.enter_context(patient.within(*net.prefix))

        def trouble() -> str:
            done = patient.python("import socket; socket.getaddrinfo('huggingface.co', 443)")
            return done.stdout.strip().rpartition("\n")[2] if done.returncode else ""

        yield Effect(
            proof=f"{net.name}: loopback alone",
            trouble=lambda: trouble() if patient.prefix else "",
            clue="huggingface.co",
            by_hand=inside.close,
        )


@injector("dns-failure", "mistyped-name-of-the-server")
def mistyped_name(patient: Patient) -> Iterator[Effect]:
    """The address in somebody's client has a name that nobody knows."""
    url = f"http://qwell-server.invalid:{patient.port}"
    address = {"now": url}

    def trouble() -> str:
        return ask(address["now"], timeout_s=5).error

    yield Effect(
        proof=trouble(),
        trouble=trouble,
        clue="qwell-server.invalid",
        by_hand=lambda: address.update(now=patient.url),
        flags=("--url", url),
        cured_flags=(),
    )


@injector("hf-hub-unreachable", "endpoint-is-closed", who="none", quick=True)
def closed_hub(patient: Patient) -> Iterator[Effect]:
    """A model has to be fetched from a hub that refuses every connection."""
    url = f"http://127.0.0.1:{free_port()}"
    dead = f"http://127.0.0.1:{free_port()}"
    with ExitStack() as inside:
        spared = {"https_proxy": dead, "no_proxy": "127.0.0.1,localhost"}
        inside.enter_context(patient.with_environ(HF_ENDPOINT=url, PIP_INDEX_URL=dead, **spared))

        def trouble() -> str:
            done = patient.qwell("pull", "Qwen/Qwen2.5-0.5B-Instruct")
            return (done.stdout + done.stderr).strip()[:300] if done.returncode else ""

        yield Effect(
            proof=f"HF_ENDPOINT={url}",
            trouble=lambda: trouble() if "HF_ENDPOINT" in patient.environ else "",
            clue=url,
            by_hand=inside.close,
        )


@injector("hf-token-required", "no-token-in-it", who="none")
def wrong_token(patient: Patient) -> Iterator[Effect]:
    """HF_TOKEN holds something that is no token, and a model has to be fetched."""
    with _gated_hub() as url, ExitStack() as inside:
        inside.enter_context(patient.with_environ(HF_ENDPOINT=url, HF_TOKEN=NO_TOKEN))

        def trouble() -> str:
            code = (
                "from huggingface_hub import hf_hub_download as get\n"
                "get('meta/gated', 'config.json')"
            )
            done = patient.python(code)
            return done.stdout.strip()[-300:] if done.returncode else ""

        yield Effect(
            proof=f"HF_ENDPOINT={url}: 401",
            trouble=lambda: trouble() if "HF_TOKEN" in patient.environ else "",
            clue="HF_TOKEN",
            log=trouble,
            by_hand=inside.close,
        )


NO_TOKEN = "paste-token-here"  # noqa: S105  that is the fault


class _Gated(_Refusing):
    """A hub that wants to know who asks."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("X-Error-Code", "GatedRepo")
        self.send_header("X-Error-Message", "Access to model meta/gated is restricted.")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815  the library's name


@contextmanager
def _gated_hub() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Gated)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@injector("firewall-blocked", "packets-vanish", root=True, programs=("ip", "iptables"))
def firewall(patient: Patient) -> Iterator[Effect]:
    """A firewall before the server drops what comes for its port."""
    with patient.stopped(), own_network(patient.run, wired=True) as net, ExitStack() as inside:
        inside.enter_context(patient.configured(host="0.0.0.0"))  # noqa: S104  in a network of its own
        inside.enter_context(patient.within(*net.prefix))
        patient.start()
        inside.callback(patient.stop)
        rule = ("INPUT", "-p", "tcp", "--dport", str(patient.port), "-s", net.outside)
        done = patient.program("iptables", "-A", *rule, "-j", "DROP")
        if done.returncode:
            raise NotInjected(f"iptables: {done.stdout.strip()[:200]}")
        url = f"http://{net.inside}:{patient.port}"

        def open_port() -> None:
            patient.program("iptables", "-D", *rule, "-j", "DROP")

        server_prefix = patient.prefix
        patient.prefix, patient.server_prefix = [], server_prefix  # the person is outside
        inside.callback(setattr, patient, "prefix", server_prefix)
        inside.callback(setattr, patient, "server_prefix", None)
        yield Effect(
            proof=patient.program(*server_prefix, "iptables", "-S", "INPUT").stdout.strip(),
            trouble=lambda: ask(url, timeout_s=4).error,
            clue=net.inside,
            by_hand=lambda: _with_prefix(patient, server_prefix, open_port),
            flags=("--url", url),
        )


def _with_prefix(patient: Patient, prefix: list[str], act: Callable[[], None]) -> None:
    before, patient.prefix = patient.prefix, prefix
    try:
        act()
    finally:
        patient.prefix = before


# ---- a connection that is bad


@injector("http-client-timeout", "slow-first-byte")
def impatient_client(patient: Patient) -> Iterator[Effect]:
    """A program that waits for a second, and a server that needs three for its first word."""
    with ExitStack() as stack:
        stack.enter_context(patient.stopped())
        stack.enter_context(patient.with_environ(QWELL_SCRIPT='{"prompt_delay_s": 4}'))
        patient.start()
        patience = {"s": 1.0}

        def attempt() -> str:
            code = (
                "import httpx\n"
                f"httpx.post('{patient.url}/v1/chat/completions', timeout={patience['s']},\n"
                "  json={'model': 'qwell', 'messages': [{'role': 'user', 'content': 'hi'}]})"
            )
            done = patient.python(code)
            return done.stdout if done.returncode else ""

        yield Effect(
            proof="a prompt takes 4 s, the client waits for 1 s",
            trouble=attempt,
            clue="imeout",
            log=attempt,
            by_hand=lambda: patience.update(s=60.0),
        )
