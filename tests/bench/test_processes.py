"""What /proc says of processes that are known."""

import os
import subprocess
import sys
import threading

import pytest

from qwell.bench.processes import children, usage


def test_usage_counts_what_this_process_takes() -> None:
    before = usage(os.getpid())
    reading, writing = os.pipe()
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    after = usage(os.getpid())
    done.set()
    thread.join()
    os.close(reading)
    os.close(writing)
    assert after.n_fds == before.n_fds + 2
    assert after.n_threads == before.n_threads + 1
    assert after.rss_mib > 10


def test_children_come_and_go() -> None:
    sleeper = [sys.executable, "-c", "input()"]
    with subprocess.Popen(sleeper, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.pid in children(os.getpid())
    assert child.pid not in children(os.getpid())
    with pytest.raises(FileNotFoundError):
        usage(child.pid)
