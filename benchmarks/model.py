"""Forward and backward passes of ELECTRA-small, against the same networks of `transformers`.

Float32 on CPU, no dropout, both sides on the same batches and threads, each in a process of its
own, in turn; each step has a batch of its own, of other lengths and other masked tokens. Theirs is
the loop people write: `ElectraForMaskedLM` and `ElectraForPreTraining` with SDPA, the embeddings
one module; the logits of masked tokens picked out, and replacements drawn by `torch.multinomial`.
Before anything is measured, weights are copied and the losses compared.

Tokens are real ones, not padding. With one thread the seconds are those of the core, so that other
work on the machine counts less. Memory is the peak of anonymous memory above what the imports take.
The rate of matrix products is that of a square product in the same process, in turn with the steps,
by MKL or oneDNN, whichever is faster; the model's operations are those of `model.flops`.

All this is done with glibc's allocator as it is and told to keep its memory, which saves page
faults; the result is the worse ratio of the two, and so is the share of the rate.
"""

import json
from dataclasses import replace
from statistics import median
from typing import Any, NamedTuple, cast

import click
import torch
from torch import nn

from benchmarks.networks import our_pair, transformers_pair
from benchmarks.networks.job import Job, electra_small
from benchmarks.networks.side import Side
from model.flops import step_flops
from model.huggingface_tensors import bert_tensors
from model.network import Network
from model.rows import to_rows
from model.transformer import Transformer

HEADS = (
    {
        "masked_language_model.head.dense": "generator_predictions.dense",
        "masked_language_model.head.norm": "generator_predictions.LayerNorm",
    },
    {"replaced_token.head": "discriminator_predictions"},
)
"""Our heads' names and theirs, of the generator and of the discriminator."""
ALLOCATORS = {
    "as it is": "",
    "keeps memory": "glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296",
}
"""Values of GLIBC_TUNABLES, on both sides."""


class Figures(NamedTuple):
    """What was measured with one allocator, each rate a median over steps."""

    ratio: float
    memory_ratio: float
    of_matmul_rate: float
    tokens_per_second: float
    gflops_of_matmul: float


@click.command()
@click.option("--rows", default=32, show_default=True, help="rows in a batch")
@click.option("--length", default=128, show_default=True, help="places of a row")
@click.option("--fill", default=1.0, show_default=True, help="share of places that hold tokens")
@click.option("--threads", default=1, show_default=True, help="of torch, on both sides")
@click.option("--rounds", default=5, show_default=True, help="measured steps of each side")
def main(rows: int, length: int, fill: float, threads: int, rounds: int) -> None:
    """Print tokens a second, peak memory, and the share of the core's rate."""
    job = Job(rows, length, fill, threads)
    _check_agreement(replace(job, rows=2))
    found = [_measure(job, rounds, name) for name in ALLOCATORS]
    result = {
        "benchmark": "model",
        "ratio": round(min(one.ratio for one in found), 2),
        "memory_ratio": round(max(one.memory_ratio for one in found), 3),
        "of_matmul_rate": round(min(one.of_matmul_rate for one in found), 3),
        "tokens_per_second": round(min(one.tokens_per_second for one in found)),
        "gflops_of_matmul": round(max(one.gflops_of_matmul for one in found), 1),
        "ratio_by_allocator": {
            name: round(one.ratio, 2) for name, one in zip(ALLOCATORS, found, strict=True)
        },
        "rows": rows,
        "length": length,
        "fill": fill,
        "threads": threads,
    }
    print("\n" + json.dumps(result))


def _measure(job: Job, rounds: int, allocator: str) -> Figures:
    """Let both sides do steps in turn, print their rates, and end them."""
    ours, theirs = (
        Side(module.__name__, job, ALLOCATORS[allocator])
        for module in (our_pair, transformers_pair)
    )
    sizes = [job.size(number) for number in range(rounds + 1)]
    steps = [(ours.step(n), theirs.step(n), ours.multiply()) for n in range(rounds + 1)]
    done = list(zip(sizes, steps, strict=True))[1:]  # the first step makes memory
    peaks = ours.peak(), theirs.peak()
    rates = [median(size.tokens / step[side] for size, step in done) for side in (0, 1)]
    print(f"glibc {allocator}:")
    for name, rate, peak in zip(("ours", "transformers"), rates, peaks, strict=True):
        print(f"  {name:<14}{rate:8.0f} tokens/s {peak / 2**20:8.0f} MiB", flush=True)
    for side in (ours, theirs):
        side.close()
    flops = [step_flops(electra_small(), size) for size, _ in done]
    shares = [count / mine / rate for count, (_, (mine, _, rate)) in zip(flops, done, strict=True)]
    return Figures(
        ratio=median(other / mine for _, (mine, other, _) in done),
        memory_ratio=peaks[0] / peaks[1],
        of_matmul_rate=median(shares),
        tokens_per_second=rates[0],
        gflops_of_matmul=median(rate for _, (_, _, rate) in done) / 1e9,
    )


def _check_agreement(job: Job) -> None:
    """Stop unless both sides, with the same weights, have the same losses on what both read."""
    theirs, ours, batch = transformers_pair.make_pair(), our_pair.make_pair(), job.batch(0)
    with torch.no_grad():
        for network, other, heads in zip(
            (ours.generator, ours.discriminator), theirs, HEADS, strict=True
        ):
            _copy(cast(Network, network), other, heads)
        mask = ours.objective.mask_token_id
        generated, judged, read = transformers_pair.losses_of(theirs, batch, mask)
        found = ours(**batch).means()["masked_language_model_loss"]
        rows = to_rows(**cast(dict[str, Any], batch))
        verdicts = cast(Network, ours.discriminator)(rows._replace(input_ids=read))
    score = verdicts["replaced_token"]
    torch.testing.assert_close(found, generated, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(score.loss / score.targets, judged, rtol=1e-4, atol=1e-4)


def _copy(ours: Network, theirs: nn.Module, heads: dict[str, str]) -> None:
    """Copy their weights into ours."""
    state = theirs.state_dict()
    for name, tensor in bert_tensors(cast(Transformer, ours.backbone), "electra.").items():
        tensor.copy_(state[name])
    for mine, other in heads.items():
        part = ours.objectives.get_submodule(mine)
        part.load_state_dict(theirs.get_submodule(other).state_dict())
