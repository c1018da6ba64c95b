"""Both sides take the same rows and, with the same weights, have the same losses."""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from benchmarks.networks.transformers_pair import losses_of
from benchmarks.training import hearth, peer
from benchmarks.training.job import Job, rows_of
from model.electra import Electra
from model.huggingface_families import ELECTRA
from model.huggingface_heads import family_tensors
from model.parts import Parts, discriminator_of, generator_of

ROWS = 4
COLUMNS = ("input_ids", "attention_mask", "token_type_ids")
TOLERANCE = 1e-4


def check_agreement(job: Job) -> None:
    """Compare a few rows of the first step, and the losses on them, on the CPU in float32.

    The generator reads these rows with the positions that we mask, and its loss is that of our
    trainer's first step, which is done in two micro-batches. The discriminator reads what our
    generator drew.

    Raises:
        SystemExit: Rows differ, or losses by more than TOLERANCE.
    """
    few = replace(
        job, rows=ROWS, micro_batch=ROWS // 2, device="cpu", precision="float32", memory=None
    )
    model, batch, line = hearth.first_step(few)
    named = {name: getattr(batch, name) for name in (*COLUMNS, "masked_positions")}
    _compare_rows(few, named)
    pair = peer.make_pair(few.networks(few.open().header))
    copy_weights(model, pair)
    with torch.no_grad():
        output = model(**vars(batch))
        found = {name: mean.item() for name, mean in output.means().items()}
        generated, _, _ = losses_of(pair, named, model.objective.mask_token_id)
        judged = pair[1](
            input_ids=output.read_ids,
            attention_mask=named["attention_mask"],
            token_type_ids=named["token_type_ids"],
            labels=(output.read_ids != named["input_ids"]).long(),
        ).loss
    for ours, theirs in (
        (line["masked_language_model_loss"], generated.item()),
        (found["masked_language_model_loss"], generated.item()),
        (found["replaced_token_loss"], judged.item()),
    ):
        if abs(ours - theirs) > TOLERANCE:
            raise SystemExit(f"our loss is {ours}, that of `transformers` {theirs}")


def _compare_rows(job: Job, ours: dict[str, Tensor]) -> None:
    """Stop unless our batch holds the rows that `datasets` gives, the longest first."""
    numbers = rows_of(job, job.open(), 0)
    theirs = peer.open_dataset(job.dataset)[numbers.tolist()]
    order = theirs["attention_mask"].sum(1).argsort(descending=True, stable=True)
    for name in COLUMNS:
        width = ours[name].shape[1]
        if not torch.equal(ours[name], theirs[name][order, :width]):
            raise SystemExit(f"{name} differs from that of `datasets`")
        if theirs["attention_mask"][:, width:].any():
            raise SystemExit("a batch was cut where there are tokens")


def copy_weights(model: Electra, pair: tuple[nn.Module, nn.Module]) -> None:
    """Copy our weights into a pair of `transformers`."""
    for parts, heads, network in (
        (generator_of(model), {"tokens"}, pair[0]),
        (discriminator_of(model), {"replaced"}, pair[1]),
    ):
        _copy(parts, frozenset(heads), network)


def _copy(parts: Parts, heads: frozenset[str], network: nn.Module) -> None:
    tensors = family_tensors(ELECTRA, parts, heads, ELECTRA.prefix)
    missing, unknown = network.load_state_dict(tensors, strict=False)
    own = dict(network.named_parameters())  # each once: a tied one under its first name
    if unknown or own.keys() & set(missing):
        raise SystemExit(f"the networks differ: {cast(list[str], missing)}, {unknown}")
