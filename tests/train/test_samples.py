import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from model.electra import Electra, make_electra
from model.huggingface_read import read_parts
from shards.reader import ShardFolder
from tests.train.small_decoder import make_small_decoder
from train.config import pretrain_config
from train.metrics import read_metrics
from train.precision import Precision
from train.pretrain import resume_run
from train.runs import load_run, model_config
from train.samples import TOP, WINDOW, forget_samples, guess, write_samples

CPU, EXACT = torch.device("cpu"), Precision("float32", "")


def test_each_evaluation_writes_the_guesses_of_the_generator(run_folder):
    lines = list(read_metrics(run_folder / "samples.jsonl"))
    assert [line["step"] for line in lines] == [2, 4, 6]
    texts = [[row["input_ids"] for row in line["rows"]] for line in lines]
    assert texts[0] == texts[1] == texts[2]
    generator = read_parts(run_folder / "hf" / "generator").parts
    folder = ShardFolder(Path(load_run(run_folder).shards), "validation")
    rows = folder.gather(torch.linspace(0, len(folder) - 1, 4).long().numpy())
    for number, row in enumerate(lines[-1]["rows"]):
        length = int(rows.length[number])
        ids = torch.from_numpy(rows.input_ids[number, :length].astype("int64"))
        assert row["input_ids"] == ids[:WINDOW].tolist()
        bits = rows.masks[number]
        places = [place for place in range(length) if bits[place // 8] >> (place % 8) & 1]
        assert [one["place"] for one in row["guesses"]] == [p for p in places if p < WINDOW]
        second = (torch.arange(length) >= int(rows.second_start[number])).long()
        hidden = ids.clone()
        hidden[places] = folder.header.mask_token_id
        with torch.inference_mode():
            logits = generator.token_logits(hidden[None], torch.ones(1, length), second[None])[0]
        for one in row["guesses"]:
            best = logits[one["place"]].softmax(-1).topk(TOP)
            assert one["tokens"] == best.indices.tolist()
            assert one["probabilities"] == pytest.approx(best.values.tolist(), abs=1e-4)


def test_a_resumed_run_has_the_same_samples_bit_for_bit(run_folder, on_cpu, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(run_folder, out)
    for later in (out / "hf", out / "checkpoints" / "step-0000006"):
        shutil.rmtree(later)
    text = (out / "samples.jsonl").read_text()
    (out / "samples.jsonl").write_text(text + '{"step": 7, "ro')
    resume_run(out, {}, None, on_cpu, lambda line: None)
    assert (out / "samples.jsonl").read_bytes() == (run_folder / "samples.jsonl").read_bytes()


def test_lines_after_a_step_are_dropped(tmp_path):
    path = tmp_path / "samples.jsonl"
    forget_samples(path, 3)
    assert not path.exists()
    path.write_text('{"step": 2, "p": 0.1234}\n{"step": 4}\n{"step": 6, "lo')
    forget_samples(path, 3)
    assert path.read_text() == '{"step": 2, "p": 0.1234}\n'


def test_looking_draws_nothing_and_leaves_the_model_in_training(shards_folder):
    folder = ShardFolder(shards_folder, "validation")
    torch.manual_seed(0)
    model = make_electra(model_config(pretrain_config("tiny"), folder.header))
    state = torch.get_rng_state()
    one = guess(model, folder, CPU, EXACT)
    assert torch.equal(state, torch.get_rng_state())
    assert model.training
    assert one == guess(model, folder, CPU, EXACT)
    assert len(json.dumps(one)) < 10_000


def test_a_causal_model_is_asked_what_comes_next(stream_folder):
    folder = ShardFolder(stream_folder, "validation")
    model = make_small_decoder(folder.header)
    objective, rows = guess(model, folder, CPU, EXACT)
    assert objective == "causal_language_model"
    assert [one["place"] for one in rows[0]["guesses"]] == [8, 16, 24, 32, 40, 48, 56]
    rows_before = rows[0]["input_ids"][:16]
    network = model.network
    with torch.inference_mode():
        model.eval()
        states = network.backbone(
            torch.tensor([rows_before]), torch.ones(1, 16), None, wanted=torch.tensor([15])
        )
        logits = states @ network.backbone.word_embeddings.T
    assert rows[0]["guesses"][1]["tokens"] == logits[0, :600].topk(TOP).indices.tolist()


def test_a_model_that_has_diverged_leaves_out_its_guesses(shards_folder, tmp_path):
    folder = ShardFolder(shards_folder, "validation")
    model = make_electra(model_config(pretrain_config("tiny"), folder.header))
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    write_samples(tmp_path / "samples.jsonl", 3, model, folder, CPU, EXACT)
    line = json.loads((tmp_path / "samples.jsonl").read_text(), parse_constant=pytest.fail)
    assert line["step"] == 3
    assert [row["guesses"] for row in line["rows"]] == [[]] * len(line["rows"])


class Bigram(nn.Module):
    """A generator of the user's own: logits by the token alone."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(600, 600)

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.table(input_ids)


class Silent(nn.Module):
    """One that gives scores, and no logits."""

    def forward(self, rows):
        raise AssertionError("nobody asks it")


def test_networks_of_ones_own_are_asked_where_they_give_logits(shards_folder):
    folder = ShardFolder(shards_folder, "validation")
    torch.manual_seed(0)
    pair = make_electra(model_config(pretrain_config("tiny"), folder.header))
    own = Bigram()
    model = Electra(own, pair.discriminator, pair.objective)
    mask = folder.header.mask_token_id
    expected = own.table.weight[mask].topk(TOP).indices.tolist()
    _, rows = guess(model, folder, CPU, EXACT)
    assert {tuple(one["tokens"]) for row in rows for one in row["guesses"]} == {tuple(expected)}
    assert guess(Electra(Silent(), pair.discriminator, pair.objective), folder, CPU, EXACT) is None
