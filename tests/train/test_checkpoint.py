"""Checkpoints: whole, kept or deleted, written by a thread, and followed by a command."""

import shutil
import threading

import pytest
import torch
from torch import nn

from shards.errors import DataError
from train import hook as hook_module
from train import saver as saver_module
from train.checkpoint import (
    State,
    delete_old,
    load_checkpoint,
    newest_checkpoint,
    take_snapshot,
    whole_checkpoints,
    write_checkpoint,
)
from train.config import pretrain_config
from train.optimizer import make_optimizer
from train.saver import Saver


class Small(nn.Module):
    """A weight with two names, and buffers: one that is kept and one that is not."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.layers[1].weight = self.layers[0].weight
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("constant", torch.ones(2), persistent=False)

    def forward(self, states):
        for layer in self.layers:
            states = layer(states)
        return self.norm(states)


def train(model, optimizer, steps=3):
    for step in range(steps):
        torch.manual_seed(step)
        model(torch.randn(8, 4)).pow(2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def make(name="adamw"):
    torch.manual_seed(1)
    model = Small()
    config = pretrain_config("tiny", optimizer=name, learning_rate=1e-2)
    return model, make_optimizer(model, config), torch.amp.GradScaler("cpu", init_scale=8.0)


def snapshot(step=1):
    model, optimizer, scaler = make()
    return take_snapshot(model, optimizer, scaler, State(step))


@pytest.mark.parametrize("name", ["adamw", "sgd", "adafactor", "muon"])
def test_what_was_saved_goes_on_to_the_bit(tmp_path, name):
    threads = torch.get_num_threads()
    model, optimizer, scaler = make(name)
    train(model, optimizer)
    state = State(3, 1.25, 700, (0, 2), 4)
    saved = take_snapshot(model, optimizer, scaler, state)
    train(model, optimizer)  # meanwhile: a snapshot is a copy
    folder = write_checkpoint(tmp_path, saved._replace(threads=threads + 1))
    again, its_optimizer, _ = make(name)
    its_scaler = torch.amp.GradScaler("cpu")
    try:
        assert load_checkpoint(folder, again, its_optimizer, its_scaler) == state
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert its_scaler.get_scale() == 8.0
    assert again.layers[0].weight is again.layers[1].weight
    train(again, its_optimizer)
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def save(folder, steps, keep=1, keep_every=None):
    with Saver(folder, keep=keep, keep_every=keep_every, command=None, say=print) as saver:
        for step in steps:
            saver.save(snapshot(step))


def folders(*steps):
    return [f"step-{step:07d}" for step in steps]


def test_the_newest_and_every_nth_are_kept(tmp_path):
    save(tmp_path, (2, 4, 6, 8, 10, 12), keep=2, keep_every=4)
    assert names(tmp_path) == folders(4, 8, 10, 12)


def test_what_was_kept_for_good_stays_where_a_resume_does_not_ask_for_it(tmp_path):
    save(tmp_path, (2, 4, 6), keep_every=4)
    assert [path.name for path in whole_checkpoints(tmp_path)] == folders(6, 4)
    save(tmp_path, (8, 10))
    assert names(tmp_path) == folders(4, 10)


def test_a_damaged_one_that_was_kept_for_good_is_kept_when_it_is_written_again(tmp_path):
    save(tmp_path, (2, 4), keep_every=4)
    (tmp_path / "step-0000004" / "model.safetensors").write_bytes(b"")
    save(tmp_path, (3,))
    assert names(tmp_path) == folders(3, 4)
    save(tmp_path, (4, 5))
    assert names(tmp_path) == folders(4, 5)
    assert len(list(whole_checkpoints(tmp_path))) == 2


def test_damaged_checkpoints_beyond_the_present_step_do_not_push_out_new_ones(tmp_path):
    for step in (2, 4, 6):
        write_checkpoint(tmp_path, snapshot(step))
    (tmp_path / "step-0000006" / "manifest.json").write_text("{")
    (tmp_path / "step-0000004" / "model.safetensors").write_bytes(b"")
    delete_old(tmp_path, 2, keep=1)
    assert names(tmp_path) == ["step-0000002"]


def test_damaged_checkpoints_are_named_and_passed_over(tmp_path):
    for step in (2, 4, 6, 8):
        write_checkpoint(tmp_path, snapshot(step))
    (tmp_path / "step-0000008" / "manifest.json").unlink()
    (tmp_path / "step-0000006" / "manifest.json").write_text("{")
    path = tmp_path / "step-0000004" / "optimizer.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    lines = []
    assert [path.name for path in whole_checkpoints(tmp_path, lines.append)] == ["step-0000002"]
    assert newest_checkpoint(tmp_path).name == "step-0000002"
    assert [line.split(", which")[0].rpartition("/")[2] for line in lines] == [
        f"step-000000{step}" for step in (8, 6, 4)
    ]
    assert lines[2].endswith("is damaged: optimizer.pt is not what was written")
    shutil.rmtree(tmp_path / "step-0000002")
    with pytest.raises(DataError, match="no whole checkpoint"):
        newest_checkpoint(tmp_path)


def test_what_a_kill_left_half_written_is_no_checkpoint(tmp_path):
    (tmp_path / "step-0000009.partial").mkdir()
    (tmp_path / "step-0000009.partial" / "model.safetensors").write_bytes(b"half")
    assert list(whole_checkpoints(tmp_path)) == []
    assert names(write_checkpoint(tmp_path, snapshot(9))) == [
        *("manifest.json", "model.safetensors", "optimizer.pt", "state.json")
    ]


def make_saver(folder, lines, command=None, keep=2):
    return Saver(folder, keep=keep, keep_every=None, command=command, say=lines.append)


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    may_end, written = threading.Event(), []

    def slow(folder, one, *, is_kept):
        may_end.wait(60)
        written.append(one.state.step)
        return write_checkpoint(folder, one, is_kept=is_kept)

    monkeypatch.setattr(saver_module, "write_checkpoint", slow)
    with make_saver(tmp_path, []) as saver:
        saver.save(snapshot(1))
        saver.check()
        assert written == []
        may_end.set()
        saver.save(snapshot(2))
        assert written[0] == 1
    assert written == [1, 2]
    assert names(tmp_path) == ["step-0000001", "step-0000002"]


def check_until_it_fails(saver):
    while True:
        saver.check()


def test_what_writing_failed_with_is_raised_in_the_loop(tmp_path):
    (tmp_path / "file").write_text("")
    saver = make_saver(tmp_path / "file", [])
    saver.save(snapshot(1))
    with pytest.raises(NotADirectoryError), saver:
        check_until_it_fails(saver)
    with pytest.raises(NotADirectoryError), make_saver(tmp_path / "file", []) as saver:
        saver.save(snapshot(1))


def test_a_command_gets_each_folder_and_its_failure_is_a_warning(tmp_path):
    lines = []
    command = f'basename "$1" >> {tmp_path}/seen; test -f "$1/model.safetensors" && exit 3'
    with make_saver(tmp_path / "checkpoints", lines, command) as saver:
        saver.save(snapshot(1))
    assert (tmp_path / "seen").read_text() == "step-0000001\n"
    assert lines == ["--on-checkpoint failed for step-0000001, with status 3"]


def test_a_command_that_is_not_done_holds_nothing_up_and_gets_the_newest_at_the_end(tmp_path):
    lines, folder = [], tmp_path / "checkpoints"
    command = (
        f"until test -f {tmp_path}/go; do sleep 0.05; done; "
        f'test -f "$1/model.safetensors" && basename "$1" >> {tmp_path}/seen'
    )
    with make_saver(folder, lines, command, keep=1) as saver:
        for step in (1, 2, 3):
            saver.save(snapshot(step))
        saver.wait()
        assert names(folder) == folders(1, 3)
        (tmp_path / "go").touch()
    assert (tmp_path / "seen").read_text().split() == folders(1, 3)
    assert names(folder) == folders(3)
    assert lines == [
        "--on-checkpoint still works on step-0000001: step-0000002 waits",
        "--on-checkpoint still works on step-0000001: step-0000003 waits, step-0000002 is left out",
    ]


def test_at_the_end_it_is_said_what_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(hook_module, "GRACE", 0.01)
    lines = []

    def say(line):
        lines.append(line)
        if line.startswith("waiting"):
            (tmp_path / "go").touch()

    command = f"until test -f {tmp_path}/go; do sleep 0.05; done"
    with Saver(tmp_path / "all", keep=1, keep_every=None, command=command, say=say) as saver:
        saver.save(snapshot(1))
        saver.save(snapshot(2))
    assert lines[1:] == [
        "waiting for --on-checkpoint to be done with step-0000001, then step-0000002; "
        "Ctrl-C gives it up"
    ]
    assert names(tmp_path / "all") == folders(2)
