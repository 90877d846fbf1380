import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from cnn_mnist.signals import ending_program
from conftest import ROOT


def test_sigterm_is_an_exit_with_143_and_what_is_open_is_closed():
    before = signal.getsignal(signal.SIGTERM)
    done = []
    with pytest.raises(SystemExit) as raised, ending_program():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
            pytest.fail("the signal did not arrive")
        finally:
            done.append("closed")
    assert raised.value.code == 143
    assert done == ["closed"]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("second", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_ends_it_though_the_first_was_swallowed(first, second, code):
    script = (
        "import sys, time\nfrom cnn_mnist.signals import ending_program\n"
        "with ending_program():\n"
        "    for word in ('once', 'twice'):\n"
        "        try:\n            print(word)\n            time.sleep(600)\n"
        "        except BaseException:\n            print('swallowed', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == "once\n"
    process.send_signal(first)
    assert [process.stdout.readline() for _ in range(2)] == ["swallowed\n", "twice\n"]
    process.send_signal(second)
    assert process.communicate() == ("", "")
    assert process.returncode == code


def test_the_handler_before_is_back_after_an_error_and_after_none():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with pytest.raises(KeyError), ending_program():
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN
            raise KeyError
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        with ending_program():
            pass
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_another_thread_leaves_signals_alone():
    seen = []

    def body():
        with ending_program():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_program_that_is_terminated_ends_with_143_and_closes_its_files(tmp_path):
    code = (
        "import sys, time\nfrom cnn_mnist.signals import ending_program\n"
        "with ending_program():\n    try:\n        print('ready', flush=True)\n"
        "        time.sleep(600)\n    finally:\n        print('closed', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.communicate() == ("closed\n", "")
    assert process.returncode == 143
