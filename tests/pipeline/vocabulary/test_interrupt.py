import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from pipeline.vocabulary.interrupt import call_with

ENDLESS = """
import itertools
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from pipeline.vocabulary.interrupt import call_with

words = (format(number, "b").translate(str.maketrans("01", "ab")) for number in range(1 << 19))
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
trainer = trainers.BpeTrainer(vocab_size=1 << 19, show_progress=False)

def read():
    yield from words
    print("read", flush=True)

call_with(read(), lambda text: tokenizer.train_from_iterator(text, trainer))
"""


def test_the_function_gets_all_items():
    found: list[int] = []
    call_with(range(5), found.extend)
    assert found == [0, 1, 2, 3, 4]


def test_an_error_of_the_items_or_of_the_function_is_raised_here():
    def fail():
        yield 1
        raise KeyError("items")

    with pytest.raises(KeyError, match="items"):
        call_with(fail(), list)
    with pytest.raises(ZeroDivisionError):
        call_with([1], lambda items: 1 / 0)


def test_ctrl_c_breaks_off_the_items():
    taken = []

    def endless():
        while True:
            time.sleep(0.001)
            yield 1

    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        call_with(endless(), lambda items: taken.extend(items))
    number = len(taken)
    time.sleep(0.1)
    assert len(taken) == number > 0


def test_ctrl_c_ends_a_training_that_reads_no_more():
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"RAYON_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"read\n"
    time.sleep(1)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert errors.endswith(b"KeyboardInterrupt\n")
    assert time.monotonic() - began < 5
