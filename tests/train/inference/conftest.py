"""Small random models of `transformers`, saved by it, each with our tokenizer beside it."""

import shutil
from pathlib import Path

import pytest
import torch
import transformers as hf

from train.inference.loaded import Loaded

END = 3
"""[SEP]: it ends the documents that our causal models read."""
SIZES = {
    "vocab_size": 600,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
    "initializer_range": 0.5,
}
GPT2 = {"vocab_size": 600, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
GPT2 |= {"initializer_range": 0.5, "bos_token_id": END, "eos_token_id": END}


class Saved:
    """A model of `transformers`, and ours of the same folder."""

    def __init__(self, folder: Path, theirs: hf.PreTrainedModel) -> None:
        self.folder = folder
        self.theirs = theirs.eval()
        self.loaded = Loaded(folder, "cpu")

    def ids(self, text: str, *, framed: bool = True) -> torch.Tensor:
        return torch.tensor([self.loaded.tokenizer.encode(text, add_special_tokens=framed).ids])


@pytest.fixture(scope="session")
def save_model(tmp_path_factory: pytest.TempPathFactory, tokenizer_folder: Path):
    """Return a function that saves a model and opens it."""

    def save(theirs: hf.PreTrainedModel, folder: Path | None = None) -> Saved:
        folder = folder or tmp_path_factory.mktemp("model")
        theirs.save_pretrained(folder)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(tokenizer_folder / file, folder / file)
        return Saved(folder, theirs)

    return save


@pytest.fixture(scope="session")
def causal(save_model) -> Saved:
    torch.manual_seed(0)
    theirs = hf.GPT2LMHeadModel(hf.GPT2Config(**GPT2))
    with torch.no_grad():
        theirs.transformer.wte.weight[END] *= 4  # else a text hardly ever ends
    return save_model(theirs)


@pytest.fixture(scope="session")
def masked(save_model) -> Saved:
    torch.manual_seed(0)
    return save_model(hf.BertForMaskedLM(hf.BertConfig(**SIZES)))


@pytest.fixture(scope="session")
def judge(save_model) -> Saved:
    torch.manual_seed(0)
    theirs = hf.ElectraForPreTraining(hf.ElectraConfig(**SIZES, embedding_size=8))
    with torch.no_grad():
        theirs.discriminator_predictions.dense_prediction.bias -= 5  # so that both verdicts occur
    return save_model(theirs)
