import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from train.interrupt import interruptible, terminable

ROOT = Path(__file__).parents[2]
STUBBORN = """
import threading, time
from train.interrupt import interruptible
threading.Thread(target=time.sleep, args=(60,)).start()
with interruptible() as interrupt:
    print("ready", flush=True)
    while True:
        time.sleep(0.01)
        if interrupt.requested:
            print("asked", flush=True)
            time.sleep(60)
"""


def test_the_first_signal_is_a_request_and_handlers_come_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for number in (signal.SIGINT, signal.SIGTERM):
        with interruptible() as interrupt:
            assert not interrupt.requested
            os.kill(os.getpid(), number)
            assert interrupt.requested
            os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_thread_other_than_the_main_one_trains_without_signals():
    seen = []

    def work():
        with interruptible() as interrupt:
            seen.append(interrupt.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_the_second_ctrl_c_exits_at_once_whatever_threads_do():
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # the same press, from torchrun
    assert process.stdout.readline() == "asked\n"
    time.sleep(0.7)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    process.stdout.close()


SLOW_SAVER = """
import sys, time
from pathlib import Path
import train.saver
from train.config import execution, pretrain_config
from train.pretrain import start_run

write = train.saver.write_checkpoint

def write_slowly(*given, **more):
    print("writing", flush=True)
    time.sleep(1.5)
    return write(*given, **more)

train.saver.write_checkpoint = write_slowly
config = pretrain_config("tiny", steps=1, batch_size=2, precision="float32")
how = execution("tiny", device="cpu", quiet=True)
start_run(Path(sys.argv[1]), Path(sys.argv[2]), config, how, lambda line: None)
"""


@pytest.mark.slow
def test_sigterm_again_and_again_while_the_last_checkpoint_is_written_loses_nothing(
    shards_folder, tmp_path
):
    command = [sys.executable, "-c", SLOW_SAVER, str(shards_folder), str(tmp_path / "run")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    for _ in range(2):
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    process.stdout.close()
    assert (tmp_path / "run" / "checkpoints" / "step-0000001" / "manifest.json").is_file()


ENDED_EARLY = """
import os, signal, sys
from train.interrupt import interruptible, terminable

@terminable()
def work():
    with interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
    print("asked", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

work()
"""


@pytest.mark.parametrize(("rank", "lines"), [(None, 1), ("0", 1), ("1", 0)])
def test_sigterm_outside_training_ends_at_once_with_a_line(rank, lines):
    environment = {name: value for name, value in os.environ.items() if name != "RANK"}
    environment |= {"RANK": rank} if rank else {}
    command = [sys.executable, "-c", ENDED_EARLY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 143
    assert done.stdout == "asked\n"
    assert done.stderr.count("Error: terminated: run the command again") == lines


def test_the_handler_of_sigterm_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with terminable():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
