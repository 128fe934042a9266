"""What only a browser sees, met with a real Chromium: blank pages and refused requests."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from qwell.lab.ask import ask
from qwell.lab.case import Effect, injector
from qwell.lab.patient import Patient, free_port
from qwell.lab.rig.certificates import authority
from qwell.lab.rig.nginx import GOOD, Nginx, nginx
from qwell.lab.rig.visit import visit

CHROMIUM = ("chromium",)
_PAGE = """<!doctype html><title>chat</title><p id=said>...</p><script>
fetch({url!r}, {options}).then(r => r.text()).then(t => said.textContent = "answered " + t.length)
</script>"""


@contextmanager
def page_elsewhere(html: str, port: int = 0) -> Iterator[str]:
    """A page that another server serves; gives its origin."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode() if self.path == "/" else b"")

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_POST = """{method: "POST", headers: {"Content-Type": "application/json"},
 body: '{"messages":[{"role":"user","content":"hi"}]}'}"""


@injector(
    "cors-blocked", "page-of-another-origin", programs=CHROMIUM, modules=("playwright",), quick=True
)
def foreign_page(patient: Patient) -> Iterator[Effect]:
    """Somebody's own page, from another origin, asks the server."""
    html = _PAGE.format(url=f"{patient.url}/api/chat", options=_POST)
    with page_elsewhere(html) as origin, patient.configured():

        def look() -> str:
            seen = visit(patient, origin)
            return "" if "answered" in seen.text else seen.console

        def allow() -> None:
            from qwell.doctor.config_file import write_settings

            write_settings(patient.config, {"cors_origin": [origin]})
            patient.restart()

        try:
            yield Effect(
                proof=look().partition("\n")[0], trouble=look, clue="CORS", log=look, by_hand=allow
            )
        finally:
            patient.stop()


@injector(
    "server-only-url-in-browser", "listen-address", programs=CHROMIUM, modules=("playwright",)
)
def listen_address(patient: Patient) -> Iterator[Effect]:
    """A page was built with the address that the server listens on."""
    html = _PAGE.format(url=f"http://0.0.0.0:{free_port()}/api/chat", options=_POST)
    with ExitStack() as stack:
        origin = {"now": stack.enter_context(page_elsewhere(html))}

        def look() -> str:
            seen = visit(patient, origin["now"])
            return "" if seen.text and seen.text != "..." else seen.console

        yield Effect(
            proof=look().partition("\n")[0],
            trouble=look,
            clue="0.0.0.0",  # noqa: S104  it is the fault
            log=look,
            by_hand=lambda: origin.update(now=patient.url),
        )


@injector(
    "mixed-content", "https-page-http-api", programs=("nginx", *CHROMIUM),
    modules=("playwright", "trustme"),
)  # fmt: skip
def mixed(patient: Patient) -> Iterator[Effect]:
    """A page that came over https asks a server over http."""
    address = f"http://chat.example.com:{patient.port}/version"
    html = _PAGE.format(url=address, options="{}").replace("\n", " ").replace('"', '\\"')
    with ExitStack() as stack:
        good = stack.enter_context(authority(patient.folder / "tls", "chat.example.com"))
        tls = f"ssl_certificate {good.cert};\nssl_certificate_key {good.key};"
        extra = f'{tls}\nlocation = /own {{ default_type text/html; return 200 "{html}"; }}'
        proxy = stack.enter_context(nginx(patient, GOOD, extra, "ssl"))
        proxy.name = "chat.example.com"
        path = {"now": "/own"}

        def look() -> str:
            seen = visit(patient, f"{proxy.url}{path['now']}")
            return "" if seen.text and seen.text != "..." else seen.console

        def same_address() -> None:
            fixed = html.replace(address, "/health")
            proxy.change(
                GOOD, f'{tls}\nlocation = /own {{ default_type text/html; return 200 "{fixed}"; }}',
                "ssl",
            )  # fmt: skip

        yield Effect(
            proof=look().partition("\n")[0], trouble=look, clue="Mixed Content", log=look,
            by_hand=same_address,
        )  # fmt: skip


def _blank(patient: Patient, proxy: Nginx) -> str:
    """A page that shows nothing, or says that nothing answers."""
    seen = visit(patient, proxy.url)
    is_blank = len(seen.text) < 20
    return f"blank page; {seen.console[:300]}" if is_blank or "JSON" in seen.console else ""


def _no_answer(patient: Patient, proxy: Nginx) -> str:
    """The page may come; what is sent from it is answered with something else."""
    return ask(proxy.url).error or _blank(patient, proxy)


def _behind(
    fault: str,
    variant: str,
    lines: str,
    extra: str,
    *,
    clue: str,
    is_live: bool = True,
    quick: bool = False,
    trouble: Callable[[Patient, Nginx], str] = _blank,
) -> None:
    """Declare a case of a proxy that spoils the page; by hand, its lines are taken out."""

    def inject(patient: Patient) -> Iterator[Effect]:
        with nginx(patient, f"{GOOD}\n{lines}", extra) as proxy:
            yield Effect(
                proof=f"nginx: {' '.join((lines + extra).split())}",
                trouble=lambda: trouble(patient, proxy),
                clue=clue,
                log=lambda: visit(patient, proxy.url).console,
                by_hand=lambda: proxy.change(GOOD),
                flags=("--url", proxy.url) if is_live else (),
            )

    inject.__doc__ = f"nginx with: {' '.join((lines + extra).split())[:80]}."
    injector(
        fault, variant, programs=("nginx", *CHROMIUM), modules=("playwright",), quick=quick
    )(inject)  # fmt: skip


_POLICY = """\
proxy_hide_header Content-Security-Policy;
add_header Content-Security-Policy "default-src 'self'; script-src 'none'" always;"""
_behind("csp-blocked", "of-the-proxy", _POLICY, "", clue="script-src")
_behind(
    "frontend-js-error", "broken-script", "",
    "location ~ ^/assets/.*\\.js$ { default_type text/javascript; "
    'return 200 "startTheChat();"; }',
    clue="not defined", is_live=False,
)  # fmt: skip
_OLD = (
    "<!doctype html><div id=root></div>"
    '<script type="module" src="/assets/index-0ld0ld.js"></script>'
)
_behind(
    "stale-frontend-cache", "page-of-yesterday", "",
    "location = / { default_type text/html; add_header Cache-Control 'public, max-age=604800'; "
    f"return 200 '{_OLD}'; }}",
    clue="max-age",
)  # fmt: skip
_behind(
    "api-returns-html", "catch-all-page", "",
    "location ~ ^/(api|v1|version|health|ready) { default_type text/html; "
    'return 200 "<!doctype html><title>chat</title>"; }',
    clue="version", trouble=_no_answer,
)  # fmt: skip


@injector(
    "cors-credentials-wildcard", "of-the-proxy", programs=("nginx", *CHROMIUM),
    modules=("playwright",),
)  # fmt: skip
def wildcard(patient: Patient) -> Iterator[Effect]:
    """A proxy adds headers that no browser accepts together."""
    lines = (
        "add_header Access-Control-Allow-Origin * always;\n"
        "add_header Access-Control-Allow-Credentials true always;"
    )
    with nginx(patient, f"{GOOD}\n{lines}") as proxy:
        html = _PAGE.format(url=f"{proxy.url}/version", options='{credentials: "include"}')
        with page_elsewhere(html) as origin, patient.configured(cors_origin=[origin]):
            patient.restart()

            def look() -> str:
                seen = visit(patient, origin)
                return "" if "answered" in seen.text else seen.console

            def name_origin() -> None:
                proxy.change(
                    f"{GOOD}\nproxy_hide_header Access-Control-Allow-Origin;\n"
                    f"add_header Access-Control-Allow-Origin {origin} always;\n"
                    "add_header Access-Control-Allow-Credentials true always;"
                )

            try:
                yield Effect(
                    proof=lines, trouble=look, clue="*", log=look, by_hand=name_origin,
                    flags=("--url", proxy.url),
                )  # fmt: skip
            finally:
                patient.stop()


# ---- the worked case, from the blank page to the absolute path


@injector(
    "model-dir-not-mounted", "worked-case", who="tiny", programs=CHROMIUM,
    modules=("playwright", "transformers"),
)  # fmt: skip
def worked_case(patient: Patient) -> Iterator[Effect]:
    """A blank page and ERR_CONNECTION_REFUSED; the log says that './model' has no configuration.

    The folder that should be mounted there is empty, for its path was relative. The whole path
    in the settings brings the page back, and an answer.
    """
    right = patient.settings["model"]
    work = patient.folder / "work"
    (work / "model").mkdir(parents=True)
    serve = (
        "import os; os.chdir('work')\n"
        "from transformers import AutoModelForCausalLM\n"
        "print('Loading the model from ./model ...', flush=True)\n"
        "AutoModelForCausalLM.from_pretrained('./model')\n"
    )
    with patient.stopped(), patient.configured():
        said = patient.python(serve, HF_HUB_OFFLINE="1").stdout

        def look() -> str:
            seen = visit(patient, patient.url)
            return "" if len(seen.text) > 20 else seen.console

        def absolute_path() -> None:
            from qwell.doctor.config_file import write_settings

            write_settings(patient.config, {"model": str(Path(right).absolute())})
            patient.start()

        yield Effect(
            proof=f"./model holds {list((work / 'model').iterdir())}",
            trouble=lambda: look() or patient.trouble(),
            clue="total 0",
            log=lambda: f"{look()}\n$ ls -la ./model\ntotal 0\n\n{said}",
            by_hand=absolute_path,
        )
        patient.stop()
    (work / "model").rmdir()
    work.rmdir()
