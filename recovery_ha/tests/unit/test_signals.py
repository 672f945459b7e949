"""Signals end a process, whichever of its threads they come to."""

import signal
import subprocess
import sys

import pytest

_WAIT = """
import os, signal, sys, threading, time
from recovery_ha.signals import Ending

signal.signal(signal.SIGHUP, lambda *_: print("again", flush=True))
ending = Ending()

def later():
    time.sleep(0.3)
    for number in ({numbers}):
        {send}
        time.sleep(0.1)

{begin}
ending.wait()
print("ended")
"""
_TO_THREAD = "signal.pthread_kill(threading.get_ident(), number)"
_TO_PROCESS = "os.kill(os.getpid(), number)"
_IN_THREAD = "threading.Thread(target=later).start()"


def ended(send, numbers, begin=_IN_THREAD):
    """Return what a process says that is sent signals; it ends in time."""
    script = _WAIT.format(
        send=send,
        begin=begin,
        numbers="".join(f"{int(number)}," for number in numbers),
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize("send", [_TO_PROCESS, _TO_THREAD])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_by_a_signal_to_any_thread(send, number):
    assert ended(send, [number]) == ["ended"]


def test_one_that_comes_before_it_waits_is_kept():
    assert ended(_TO_PROCESS, [signal.SIGTERM], "later()") == ["ended"]


@pytest.mark.parametrize("send", [_TO_PROCESS, _TO_THREAD])
def test_others_are_handled_and_do_not_end_it(send):
    numbers = [signal.SIGHUP, signal.SIGHUP, signal.SIGTERM]
    assert ended(send, numbers) == ["again", "again", "ended"]
