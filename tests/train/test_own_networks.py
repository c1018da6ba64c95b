"""A pair of the user's own networks under the trainer, from Python."""

from pathlib import Path

import torch
from torch import Tensor, nn

from model.config import ElectraObjective
from model.electra import Electra
from shards.reader import ShardFolder
from train.checkpoint import load_weights
from train.loop import Trainer
from train.optimizer import adamw
from train.runs import load_run


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


def test_a_pair_of_torch_s_own_encoders_is_trained_scored_and_kept(run_folder, tmp_path):
    run = load_run(run_folder)
    train, validation = (ShardFolder(Path(run.shards), split) for split in ("train", "validation"))
    torch.manual_seed(0)
    model = make(train.header.mask_token_id)
    optimizer = adamw(model, run.config.learning_rate)
    trainer = Trainer(run, model, optimizer, train, validation, torch.device("cpu"))
    lines = [trainer.train_step() for _ in range(3)]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert {"masked_language_model_loss", "replaced_token_accuracy"} < set(lines[0])
    scores = trainer.evaluate()
    assert 0 < scores["hidden_token_loss"] < 10
    assert "sentence_order_accuracy" not in scores
    object.__setattr__(run, "folder", tmp_path)
    checkpoint = trainer.save()
    loaded = make(train.header.mask_token_id)
    load_weights(checkpoint, loaded)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
