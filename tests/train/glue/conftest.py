"""A micro model to fine-tune, and tasks that it can learn."""

import pytest
import torch

from model.config import ElectraConfig, ModelConfig
from model.electra import make_electra
from model.huggingface import save
from tests.train.glue.toy import LONGEST, SPECIAL, WORDS, make_tokenizer, sentences
from train.glue.row_tokenizer import load_row_tokenizer


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Keep a busy machine from making threads of so small a model wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Make a run folder with a random micro ALBERT as its export."""
    config = ModelConfig(
        vocab_size=len(SPECIAL + WORDS),
        embedding_size=16,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=LONGEST,
        initializer_range=0.2,  # 0.02 is for wide networks; this one would hardly move
    )
    pair = ElectraConfig(generator=config, discriminator=config, mask_token_id=4)
    folder = tmp_path_factory.mktemp("run") / "hf"
    torch.manual_seed(0)
    save(folder, make_electra(pair))
    make_tokenizer().save(str(folder / "tokenizer.json"))
    return folder.parent


@pytest.fixture
def tokenizer(run):
    return load_row_tokenizer(run / "hf", LONGEST, len(SPECIAL + WORDS))


@pytest.fixture
def source(tmp_path):
    """Make a folder with a separable CoLA and a separable SST-2, 60 rows each."""
    for split, seed in (("train", 1), ("dev", 2)):
        rows = list(sentences(60, seed))
        cola = "\n".join(f"gj04\t{label}\t\t{text}" for text, label in rows)
        sst2 = "sentence\tlabel\n" + "\n".join(f"{text} \t{label}" for text, label in rows)
        for name, content in (("CoLA", cola), ("SST-2", sst2)):
            path = tmp_path / "source" / name / f"{split}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    return tmp_path / "source"
