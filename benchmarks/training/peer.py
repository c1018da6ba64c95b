"""The loop that people write with `transformers`, `datasets` and PyTorch.

Rows are tokenized before, padded to their full width, and lie in memory-mapped Arrow files; masks
are drawn as batches are made. Nothing in the loop waits for the device but what `transformers` does
itself, AdamW is fused, and padding is left out of the losses.
"""

import os
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler
from transformers import ElectraConfig as Shape
from transformers import (
    ElectraForMaskedLM,
    ElectraForPreTraining,
    get_linear_schedule_with_warmup,
)

from benchmarks.networks.transformers_pair import SHARED_FIELDS, losses_of
from benchmarks.training.job import Job, rows_of
from model.config import ElectraConfig, ModelConfig
from shards.format import Rows, ShardHeader
from shards.reader import ShardFolder

os.environ["HF_HUB_OFFLINE"] = "1"
try:
    datasets = import_module("datasets")
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: pip install -e ".[bench]"') from error

WRITTEN_ROWS = 1000
"""Rows of a record batch, as `datasets` writes them."""
MASKED = 0.15
EPSILON, DECAY, CLIP = 1e-6, 0.01, 1.0
"""As ours: google-research/electra, `model/optimization.py`, and ELECTRA's Table 6."""


def write_dataset(shards: ShardFolder, folder: Path) -> None:
    """Write rows as `datasets` stores what a tokenizer gives, an Arrow stream for each shard."""
    folder.mkdir(parents=True)
    for number, rows in enumerate(shards.shards()):
        with pa.OSFile(str(folder / f"{number:05d}.arrow"), "wb") as file:
            batches = [
                _record_batch(rows.take(slice(first, first + WRITTEN_ROWS)))
                for first in range(0, len(rows), WRITTEN_ROWS)
            ]
            with pa.ipc.new_stream(file, batches[0].schema) as stream:
                for batch in batches:
                    stream.write_batch(batch)


def _record_batch(rows: Rows) -> pa.RecordBatch:
    count, width = rows.input_ids.shape
    place = np.arange(width)
    is_real = place < rows.length[:, None]
    columns: dict[str, NDArray[Any]] = {
        "input_ids": rows.input_ids.astype(np.int32),
        "attention_mask": is_real.astype(np.int8),
        "token_type_ids": (is_real & (place >= rows.second_start[:, None])).astype(np.int8),
    }
    ends = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    return pa.record_batch(
        {name: pa.ListArray.from_arrays(ends, values.ravel()) for name, values in columns.items()}
    )


def open_dataset(folder: Path) -> Any:  # noqa: ANN401
    """Return the rows as a `Dataset` that maps its files and gives tensors."""
    parts = [datasets.Dataset.from_file(str(path)) for path in sorted(folder.glob("*.arrow"))]
    return datasets.concatenate_datasets(parts).with_format("torch")


class OurOrder(Sampler[int]):
    """The rows of each step as ours has them, so that both sides compute the same tokens.

    It stands in the place of `shuffle=True`, and takes no longer.
    """

    def __init__(self, job: Job, shards: ShardFolder) -> None:
        self.order = np.concatenate([rows_of(job, shards, step) for step in range(job.steps)])

    def __iter__(self) -> Iterator[int]:
        return iter(self.order.tolist())

    def __len__(self) -> int:
        return len(self.order)


class Collator:
    """Stack rows and choose what is to be predicted, as `DataCollatorForLanguageModeling` does.

    Special tokens are known by their ids, for all rows at once; its own way, a list of each row,
    is slower.
    """

    def __init__(self, header: ShardHeader) -> None:
        special = (header.pad_token_id, header.cls_token_id, header.sep_token_id)
        self.special = torch.tensor(special)

    def __call__(self, rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return a batch (B, T), `masked_positions` included."""
        batch = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
        chance = torch.full(batch["input_ids"].shape, MASKED)
        chance.masked_fill_(torch.isin(batch["input_ids"], self.special), 0.0)
        return batch | {"masked_positions": torch.bernoulli(chance).bool()}


def make_pair(config: ElectraConfig) -> tuple[nn.Module, nn.Module]:
    """Return a generator and a discriminator; layers and embeddings are shared as in ours."""

    def shape(one: ModelConfig) -> Any:  # noqa: ANN401
        fields: dict[str, Any] = {name: getattr(one, name) for name in SHARED_FIELDS}
        fields |= {"pad_token_id": one.pad_token_id, "attn_implementation": "sdpa"}
        return Shape(**fields)

    generator = ElectraForMaskedLM(shape(config.generator))
    discriminator = ElectraForPreTraining(shape(config.discriminator))
    if config.tie_embeddings:
        discriminator.electra.embeddings = generator.electra.embeddings
    for network, one in ((generator, config.generator), (discriminator, config.discriminator)):
        layers = network.electra.encoder.layer
        repeats = one.num_hidden_layers // one.num_hidden_groups
        for index in range(one.num_hidden_layers):
            layers[index] = layers[index - index % repeats]
    return generator, discriminator


def make_optimizer(networks: nn.Module, learning_rate: float) -> torch.optim.AdamW:
    """Return a fused AdamW that does not decay biases and norms."""
    parameters = list(networks.parameters())
    groups = [
        {"params": [one for one in parameters if one.ndim > 1], "weight_decay": DECAY},
        {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, eps=EPSILON, fused=True)


def load_batches(job: Job, shards: ShardFolder) -> Iterator[dict[str, Tensor]]:
    """Yield the batches of the run."""
    loader: DataLoader[Any] = DataLoader(
        open_dataset(job.dataset),
        batch_size=job.rows,
        sampler=OurOrder(job, shards),
        collate_fn=Collator(shards.header),
        num_workers=job.workers,
        pin_memory=job.device == "cuda",
        drop_last=True,
    )
    return iter(loader)


def start_training(job: Job) -> Callable[[int], float]:
    """Return what does so many steps and says how many seconds of them it waited for data."""
    shards = job.open()
    config, device = job.networks(shards.header), torch.device(job.device)
    torch.manual_seed(0)
    pair = make_pair(config)
    networks = nn.ModuleList(pair).to(device).train()
    optimizer = make_optimizer(networks, job.learning_rate)
    schedule: Any = get_linear_schedule_with_warmup(  # type: ignore[no-untyped-call]
        optimizer, job.warmup_steps, job.steps
    )
    scaler = torch.amp.GradScaler(job.device, enabled=job.precision == "float16")
    batches = load_batches(job, shards)

    def step() -> float:
        begin = time.perf_counter()
        batch = {name: one.to(device, non_blocking=True) for name, one in next(batches).items()}
        waited = time.perf_counter() - begin
        with torch.autocast(job.device, job.dtype, enabled=job.precision != "float32"):
            generated, judged, _ = losses_of(pair, batch, config.mask_token_id)
            loss = config.generator_weight * generated + config.discriminator_weight * judged
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(networks.parameters(), CLIP)
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        return waited

    return lambda steps: sum(step() for _ in range(steps))
