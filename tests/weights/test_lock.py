from __future__ import annotations

import threading
from pathlib import Path

from qwell.weights.lock import alone_in
from qwell.weights.progress import Progress, unwatched


def test_the_second_waits_until_the_first_is_done(tmp_path: Path) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def report(progress: Progress) -> None:
        assert "waiting" in progress.detail
        waiting.set()

    def second() -> None:
        with alone_in(tmp_path, "pack", report):
            order.append("second")

    thread = threading.Thread(target=second)
    with alone_in(tmp_path, "pack", unwatched):
        thread.start()
        assert waiting.wait(20)
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]
