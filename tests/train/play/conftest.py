"""Random models of `transformers`, and servers of the page on them."""

import shutil
import threading
from pathlib import Path

import pytest
import torch
import transformers as hf

from train.inference.loaded import Loaded
from train.play.answers import Answers
from train.play.server import PlayServer

SIZES = {"vocab_size": 600, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 24, "max_position_embeddings": 32, "initializer_range": 0.5}
GPT2 = {"vocab_size": 600, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32}
GPT2 |= {"bos_token_id": 3, "eos_token_id": 3}


@pytest.fixture(scope="session")
def save(tmp_path_factory, tokenizer_folder):
    """Return a function that saves a random model of `transformers` with our tokenizer."""

    def write(kind, config) -> Path:
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp("model")
        kind(config).save_pretrained(folder)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(tokenizer_folder / file, folder / file)
        return folder

    return write


@pytest.fixture(scope="session")
def pair(save) -> Path:
    shape = hf.ElectraConfig(**SIZES, embedding_size=8)
    folder = save(hf.ElectraForPreTraining, shape)
    shutil.copytree(save(hf.ElectraForMaskedLM, shape), folder / "generator")
    return folder


@pytest.fixture(scope="session")
def masked(save) -> Path:
    return save(hf.BertForMaskedLM, hf.BertConfig(**SIZES))


@pytest.fixture(scope="session")
def judge(save) -> Path:
    return save(hf.ElectraForPreTraining, hf.ElectraConfig(**SIZES, embedding_size=8))


@pytest.fixture(scope="session")
def bare(save) -> Path:
    return save(hf.BertModel, hf.BertConfig(**SIZES))


@pytest.fixture(scope="session")
def causal(save) -> Path:
    return save(hf.GPT2LMHeadModel, hf.GPT2Config(**GPT2))


@pytest.fixture
def serve():
    """Return a function that serves a folder: `serve(folder)`."""
    servers = []

    def start(folder: Path) -> PlayServer:
        server = PlayServer(Answers(Loaded(folder, "cpu")), 0)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
