import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from cnn_mnist.utils import process
from cnn_mnist.utils.process import Ending, end_program, ending_program, interactive
from conftest import ROOT
from stress import programs


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
        "import sys, time\nfrom cnn_mnist.utils.process import ending_program\n"
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


@pytest.fixture
def session(monkeypatch):
    """Python's prompt, IPython or a notebook: this process must not end."""

    def leave(code):
        pytest.fail("the process would have ended")

    monkeypatch.setattr(process, "leave", leave)
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)


def test_a_program_ends_its_process(monkeypatch):
    codes = []
    monkeypatch.setattr(process, "leave", codes.append)
    end_program(3)
    assert codes == [3]
    assert not interactive()


def test_a_process_of_its_own_collects_rarely():
    code = """
        import gc
        before = gc.get_threshold()
        from cnn_mnist import main
        assert gc.get_threshold() == before  # a process that only calls it is another's
        main.own_process()
        assert gc.get_threshold() == (100_000, *before[1:]) and gc.isenabled()
    """
    done = programs.run("-c", textwrap.dedent(code), fresh=True)
    assert done.returncode == 0, done.stderr


def test_a_program_does_not_end_a_session(session):
    end_program(3)
    assert interactive()


def test_in_a_session_every_interrupt_is_a_keyboard_interrupt(session):
    ending = Ending()
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            ending(signal.SIGINT, None)
    with pytest.raises(SystemExit):
        ending(signal.SIGTERM, None)


def test_a_session_is_told_of_an_interrupt_and_goes_on(session, capsys):
    def command():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:  # as TensorFlow now and then does
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    assert process.code_of(command) == 130
    assert capsys.readouterr() == ("", "KeyboardInterrupt\n")


@pytest.mark.parametrize(
    "words", [["cnn_mnist", "--steps=x"], ["cnn_mnist.main", "-h"], ["cnn_mnist.shards", "--x"]]
)
def test_python_i_goes_on_after_the_program(tmp_path, words):
    ended = subprocess.run(
        [sys.executable, "-i", "-m", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input="print('the session', 'goes on')\n",
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0
    assert ended.stdout.endswith("the session goes on\n")
    assert "Traceback" not in ended.stderr


def test_ipython_goes_on_after_the_program(tmp_path, small_data_dir):
    """Wrong flags, a good run that Ctrl-C ends, the same again by a call, and then it answers."""
    flags = ["--recipe=tfjs", f"--data_dir={small_data_dir}", "--validation_size=37"]
    flags += ["--train_size=0", "--mode=train", "--log_every_n_iter=5", "--batch_size=5"]
    typed = (
        "%run -m cnn_mnist -- --steps=20k\n"
        f"%run -m cnn_mnist.main -- {' '.join(flags)} --steps=1000000\n"
        "import cnn_mnist.main\n"
        f"code = cnn_mnist.main.main({flags} + ['--model_dir=another', '--steps=3'])\n"
        "print('the session', 'goes on', code)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "IPython", "--no-banner", "--simple-prompt", "--colors=NoColor"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path / "ipython")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        process.stdin.write(typed)
        process.stdin.flush()
        seen = []
        while sum("softmax_tensor" in line for line in seen) < 10:  # training is well under way
            seen.append(process.stdout.readline())
            assert process.poll() is None, seen
        process.send_signal(signal.SIGINT)
        seen.append(process.communicate()[0])
    said = "".join(seen)
    assert process.returncode == 0
    assert "error: --steps=20k: expected a whole number, such as 20000, found '20k'\n" in said
    assert "SIGINT: saved at step " in said
    assert "the session goes on 0" in said
    assert "Traceback" not in said and "SystemExit" not in said


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
        "import sys, time\nfrom cnn_mnist.utils.process import ending_program\n"
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
