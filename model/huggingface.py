"""Write and read model folders that `transformers` loads, without `transformers`.

    FOLDER/config.json, model.safetensors             AlbertModel: the discriminator and its pooler
    FOLDER/heads.safetensors                          the discriminator's two heads (ours alone)
    FOLDER/generator/config.json, model.safetensors   AlbertForMaskedLM: the generator

No class of `transformers` holds an ELECTRA discriminator with shared layers and a sentence-order
head, hence the side file. A generator's own sentence-order head serves training only and is not
written. Keys and sizes are those of transformers 5 (`models/albert/modeling_albert.py`).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from model.config import ElectraConfig, ModelConfig
from model.electra import Electra
from model.encoder import Encoder
from model.heads import MaskedLanguageModelHead, ReplacedTokenHead, SentenceOrderHead

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
HEADS = "heads.safetensors"
GENERATOR = "generator"
# One entry per file: safetensors writes several in random order, and bytes should repeat.
TORCH = {"format": "pt"}
POLARITY = {
    "polarity": "replaced_token: above 0 = replaced; "
    "sentence_order: 0 = original order, 1 = swapped",
}


class MaskedLanguageModel(nn.Module):
    """An encoder that fills in masked tokens."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.head = MaskedLanguageModelHead(config)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Return logits (B, T, V) of rows (B, T)."""
        hidden_states = self.encoder(input_ids, attention_mask, token_type_ids)
        logits: Tensor = self.head(hidden_states, self.encoder.embeddings.word_embeddings.weight)
        return logits


class Discriminator(nn.Module):
    """An encoder that finds replaced tokens and swapped segments."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.replaced_token_head = ReplacedTokenHead(config)
        self.sentence_order_head = SentenceOrderHead(config)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return replaced-token logits (B, T) and sentence-order logits (B, 2) of rows (B, T)."""
        hidden_states = self.encoder(input_ids, attention_mask, token_type_ids)
        return self.replaced_token_head(hidden_states), self.sentence_order_head(hidden_states)


def save(folder: Path, model: Electra, config: ElectraConfig) -> None:
    """Write the model folder; existing files of the same names are replaced.

    Tokenizer files are the caller's business, and so is a folder that appears all at once.
    """
    pooler, replaced_token = model.sentence_order_head.pooler, model.replaced_token_head
    generator = folder / GENERATOR
    generator.mkdir(parents=True, exist_ok=True)

    _write_config(folder / CONFIG, config.discriminator, "AlbertModel")
    _write_tensors(folder / WEIGHTS, _model_tensors(model.discriminator, pooler), TORCH)
    _write_tensors(
        folder / HEADS, _head_tensors(replaced_token, model.sentence_order_head), POLARITY
    )
    _write_config(generator / CONFIG, config.generator, "AlbertForMaskedLM")
    _write_tensors(
        generator / WEIGHTS,
        _masked_language_model_tensors(model.generator, model.masked_language_model_head),
        TORCH,
    )


def load_encoder(folder: Path) -> tuple[Encoder, nn.Linear]:
    """Return the encoder (on the CPU, in eval mode) and the linear layer of its tanh pooler.

    Args:
        folder: An export of ours, or any that `AlbertModel.save_pretrained` wrote.

    Raises:
        ValueError: Configuration or weights are broken or do not fit; the message names the keys.
        FileNotFoundError: A file is missing.
    """
    config = _read_config(folder / CONFIG)
    encoder, pooler = Encoder(config), nn.Linear(config.hidden_size, config.hidden_size)
    _read_tensors(folder / WEIGHTS, _model_tensors(encoder, pooler))
    return encoder.eval(), pooler.eval()


def load_masked_language_model(folder: Path) -> MaskedLanguageModel:
    """Return the model of an `AlbertForMaskedLM` folder, on the CPU, in eval mode.

    Args:
        folder: `generator` inside an export of ours, or any folder with the same keys.

    Raises:
        ValueError: Configuration or weights are broken or do not fit; the message names the keys.
        FileNotFoundError: A file is missing.
    """
    model = MaskedLanguageModel(_read_config(folder / CONFIG))
    _read_tensors(folder / WEIGHTS, _masked_language_model_tensors(model.encoder, model.head))
    return model.eval()


def load_discriminator(folder: Path) -> Discriminator:
    """Return the discriminator of an export of ours, heads included, on the CPU, in eval mode.

    Raises:
        ValueError: Configuration or weights are broken or do not fit; the message names the keys.
        FileNotFoundError: A file is missing.
    """
    model = Discriminator(_read_config(folder / CONFIG))
    replaced_token, sentence_order = model.replaced_token_head, model.sentence_order_head
    _read_tensors(folder / WEIGHTS, _model_tensors(model.encoder, sentence_order.pooler))
    _read_tensors(folder / HEADS, _head_tensors(replaced_token, sentence_order))
    return model.eval()


# The next three name the tensors of each file. They are the modules' own memory, so writing and
# reading go through the same table.


def _model_tensors(encoder: Encoder, pooler: nn.Linear) -> dict[str, Tensor]:
    return _encoder_tensors(encoder, "") | _tensors(pooler, "pooler.")


def _masked_language_model_tensors(
    encoder: Encoder, head: MaskedLanguageModelHead
) -> dict[str, Tensor]:
    return _encoder_tensors(encoder, "albert.") | _tensors(head, "predictions.")


def _head_tensors(
    replaced_token: ReplacedTokenHead, sentence_order: SentenceOrderHead
) -> dict[str, Tensor]:
    classifier = _tensors(sentence_order.classifier, "sentence_order.classifier.")
    return _tensors(replaced_token, "replaced_token.") | classifier


def _encoder_tensors(encoder: Encoder, prefix: str) -> dict[str, Tensor]:
    tensors = _tensors(encoder.embeddings, f"{prefix}embeddings.")
    mapping = f"{prefix}encoder.embedding_hidden_mapping_in."
    tensors |= _tensors(encoder.embedding_hidden_mapping_in, mapping)
    for group, layer in enumerate(encoder.layers):
        tensors |= _tensors(layer, f"{prefix}encoder.albert_layer_groups.{group}.albert_layers.0.")
    return tensors


def _tensors(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in module.state_dict().items()}


def _write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    on_cpu = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    # safetensors' own writer reports a full disk as an error of its own kind.
    path.write_bytes(to_bytes(on_cpu, metadata=metadata))


def _read_tensors(path: Path, targets: Mapping[str, Tensor]) -> None:
    """Fill `targets` from a file that holds exactly them."""
    try:
        found = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file ({error})") from error
    wrong = {
        "missing": targets.keys() - found.keys(),
        "unknown": found.keys() - targets.keys(),
        "of another shape": {
            f"{name} {tuple(found[name].shape)} instead of {tuple(targets[name].shape)}"
            for name in targets.keys() & found.keys()
            if found[name].shape != targets[name].shape
        },
    }
    if any(wrong.values()):
        listed = "; ".join(
            f"{what}: {', '.join(sorted(names))}" for what, names in wrong.items() if names
        )
        raise ValueError(f"the weights in {path} do not fit its configuration: {listed}")
    for name, target in targets.items():
        target.copy_(found[name])


def _write_config(path: Path, config: ModelConfig, architecture: str) -> None:
    """Write all that AlbertConfig knows: its defaults are those of ALBERT xxlarge."""
    content = asdict(config) | {
        "architectures": [architecture],
        "model_type": "albert",
        "inner_group_num": 1,
        "classifier_dropout_prob": config.hidden_dropout_prob,
        "bos_token_id": None,
        "eos_token_id": None,
        "cls_token_id": None,
        "sep_token_id": None,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _read_config(path: Path) -> ModelConfig:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not an object")
    if content.get("model_type") != "albert" or content.get("inner_group_num", 1) != 1:
        raise ValueError(
            f"{path} has model_type {content.get('model_type')!r} and inner_group_num "
            f"{content.get('inner_group_num', 1)}; only 'albert' and 1 can be read"
        )
    names = [item.name for item in fields(ModelConfig)]
    missing = [name for name in names if name not in content]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    try:
        return ModelConfig(**{name: content[name] for name in names})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be used: {error}") from error
