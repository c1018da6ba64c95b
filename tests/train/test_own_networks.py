"""A pair of the user's own networks under the trainer, from Python."""

import shutil

import pytest
import torch
from torch import Tensor, nn

from model.config import ElectraObjective
from model.electra import Electra
from shards.errors import DataError
from shards.reader import ShardFolder
from train.checkpoint import load_weights
from train.config import execution, pretrain_config
from train.metrics import read_metrics
from train.pretrain import resume_run, start_run


class Plain(nn.Module):
    """Torch's own encoder over words alone."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.words = nn.Embedding(600, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, outputs)

    def forward(self, *, input_ids, attention_mask, token_type_ids) -> Tensor:
        states = self.words(input_ids)
        return self.head(self.encoder(states, src_key_padding_mask=attention_mask == 0))


def make(mask_token_id: int) -> Electra:
    objective = ElectraObjective(mask_token_id=mask_token_id)
    return Electra(Plain(600), Plain(1), objective, tie=("words", "words"))


def test_a_pair_of_torch_s_own_encoders_is_trained_scored_kept_and_taken_up_again(
    shards_folder, tmp_path
):
    config = pretrain_config("tiny", steps=4, batch_size=4, precision="float32")
    on_cpu = execution("tiny", device="cpu", checkpoint_every=2)
    header = ShardFolder(shards_folder, "train").header

    def new() -> Electra:
        torch.manual_seed(0)
        return make(header.mask_token_id)

    model, lines = new(), []
    start_run(shards_folder, tmp_path / "run", config, on_cpu, lines.append, model=model)
    metrics = list(read_metrics(tmp_path / "run" / "metrics.jsonl"))
    assert [line["step"] for line in metrics] == [1, 2, 3, 4]
    assert {"masked_language_model_loss", "replaced_token_accuracy"} < set(metrics[0])
    assert metrics[0]["flops_utilisation"] is None
    assert 0 < metrics[-1]["validation"]["hidden_token_loss"] < 10
    assert "sentence_order_accuracy" not in metrics[-1]["validation"]
    assert any("not exported" in line for line in lines)

    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-0000004")
    again = new()
    with pytest.raises(DataError, match="started with a model given from Python"):
        resume_run(tmp_path / "run", {}, None, on_cpu, lines.append)
    resume_run(tmp_path / "run", {}, None, on_cpu, lines.append, model=again)
    loaded = make(header.mask_token_id)
    load_weights(tmp_path / "run" / "checkpoints" / "step-0000004", loaded)
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
        assert torch.equal(loaded.state_dict()[name], tensor), name
