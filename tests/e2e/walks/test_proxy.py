"""What stands between browser and server spoils the way: seen by the browser, cured in nginx."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from qwell.lab.rig.nginx import GOOD, Nginx

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("language", ["zh", "en"])]

_HOST = "proxy_set_header Host $http_host;\n"
_UPGRADE = (
    "proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection $qwell_connection;\n"
)
# as without further words: HTTP 1.0, in which an answer has no pieces to be passed on one by one
BUFFERING = f"""\
{_HOST}proxy_buffering on;
proxy_ignore_headers X-Accel-Buffering;
proxy_buffer_size 64k;
proxy_buffers 8 64k;
"""
COMPRESSING = f"""\
proxy_http_version 1.1;
{_HOST}{_UPGRADE}proxy_ignore_headers X-Accel-Buffering;
gzip on; gzip_types *; gzip_proxied any; gzip_min_length 0;
"""
WITHOUT_UPGRADE = f"proxy_http_version 1.1;\n{_HOST}proxy_buffering off;\n"
WITHOUT_HOST = f"proxy_http_version 1.1;\n{_UPGRADE}proxy_buffering off;\n"


def from_symptom_to_cure(walk: Any, proxy: Nginx, fault: str) -> None:
    walk.expect_diagnosis(fault)
    walk.show(walk.panel.locator(".diagnosis-card").last)
    walk.step("说出症状", "Tell the symptom")
    proxy.change(GOOD)
    walk.expect_fixed()
    walk.step("改好 nginx，检查变绿", "nginx is put right: green")
    walk.end()


def test_a_stream_that_is_compressed(
    echo_url: str, begin: Any, behind_nginx: Any, language: Any
) -> None:
    """The browser measures that all frames come at once."""
    proxy = behind_nginx(echo_url, COMPRESSING)
    title = ("nginx 压缩，回答最后一次出来", "nginx compresses: the answer comes in one piece")
    walk = begin(proxy.url, "gzip-buffers-stream", language, title=title)
    walk.open_panel()
    walk.say(
        "nginx 开了 gzip 压缩之后，流式回答最后才一下子全出来",
        "Since gzip compression is on in nginx, server-sent events stop working",
    )
    from_symptom_to_cure(walk, proxy, "gzip-buffers-stream")


def test_a_stream_that_is_buffered(
    echo_url: str, begin: Any, behind_nginx: Any, language: Any
) -> None:
    """A second proxy, as nginx is by itself; only the symptom is told, the browser measures it."""
    socket = f"location /ws/ {{ proxy_pass {echo_url}; {GOOD} }}"
    proxy = behind_nginx(behind_nginx(echo_url).url, BUFFERING, socket)
    title = ("nginx 缓冲，回答最后一次出来", "nginx buffers: the answer comes in one piece")
    walk = begin(proxy.url, "proxy-buffering", language, title=title)
    walk.open_panel()
    walk.say(
        "回答不是一个字一个字出来的，等很久才一下子全部出现",
        "The answer does not stream: nothing for long, then all of it at once",
    )
    from_symptom_to_cure(walk, proxy, "proxy-buffering")


def test_an_upgrade_that_is_not_passed_on(
    echo_url: str, begin: Any, behind_nginx: Any, language: Any
) -> None:
    """WebSocket fails at the proxy: the browser sees it, and sees that it is over."""
    proxy = behind_nginx(echo_url, WITHOUT_UPGRADE)
    title = ("nginx 没有转发 WebSocket 升级", "nginx does not pass on the WebSocket's upgrade")
    walk = begin(proxy.url, "ws-upgrade-missing", language, title=title)
    walk.open_panel()
    walk.say(
        "经过 nginx 之后 WebSocket 连不上，直连是好的",
        "The WebSocket fails behind nginx; without nginx it works",
    )
    from_symptom_to_cure(walk, proxy, "ws-upgrade-missing")


def test_an_origin_that_is_refused(
    echo_url: str, begin: Any, behind_nginx: Any, language: Any
) -> None:
    """The page loads, but whatever it sends is refused: the page alone can tell why."""
    proxy = behind_nginx(echo_url, WITHOUT_HOST)
    title = ("代理改掉了 Host，请求被当作跨域拒绝", "The proxy changes Host: requests are refused")
    walk = begin(proxy.url, "cors-blocked", language, title=title)
    walk.open_panel()
    aid = walk.panel.locator(".aid")
    expect(aid).to_contain_text("cors-blocked", timeout=30_000)
    expect(aid.locator("pre")).to_contain_text(f"--cors-origin {proxy.url}")
    walk.step("页面能打开，发出的请求被拒绝", "The page opens; what it sends is refused")
    proxy.change(GOOD)
    back = walk.words("服务器恢复了", "The server is there again")
    expect(walk.panel.locator(".end.fixed")).to_contain_text(back, timeout=30_000)
    walk.step("改好 nginx，自动变绿", "nginx is put right: green by itself")
    walk.end()
