"""Optimizers by name; each is one `torch.optim.Optimizer` whose state is restored to the bit.

Biases and LayerNorm, the vectors, are not decayed; embeddings are (google-research/electra,
`model/optimization.py`). All groups of an optimizer have the same rate, which the loop sets.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from shards.errors import DataError
from train.config import ADAM, PretrainConfig

MAX_GRAD_NORM = 1.0
"""ELECTRA (`model/optimization.py`), BERT, ALBERT, nanoGPT."""
BETA1 = 0.9
"""Of every recipe named in `train.config`."""
MOMENTUM = 0.9
"""Of SGD (Sutskever et al. 2013, "On the importance of initialization and momentum")."""

Group = dict[str, Any]


def make_optimizer(model: nn.Module, config: PretrainConfig) -> torch.optim.Optimizer:
    """Return the optimizer that `config` names, over the trainable weights of `model`.

    Raises:
        DataError: It is LAMB, whose package is not installed.
    """
    return OPTIMIZERS[config.optimizer](model, config)


def adamw(
    model: nn.Module,
    learning_rate: float,
    *,
    weight_decay: float = ADAM["weight_decay"],
    beta2: float = ADAM["adam_beta2"],
    epsilon: float = ADAM["adam_epsilon"],
) -> torch.optim.AdamW:
    """Return AdamW over `model`, in one kernel; by default with ELECTRA's constants."""
    groups = _groups(model.parameters(), weight_decay)
    return torch.optim.AdamW(
        groups, lr=learning_rate, betas=(BETA1, beta2), eps=epsilon, fused=True
    )


class MuonAndAdamW(torch.optim.Optimizer):
    """Muon for the matrices of a model's layers and AdamW for all else, as one optimizer.

    Embeddings and heads are AdamW's (K. Jordan et al. 2024, "Muon: An optimizer for hidden layers
    in neural networks", kellerjordan.github.io/posts/muon). Momentum .95, Nesterov and five steps
    of Newton-Schulz are torch's defaults and that article's. Query, key and value are one matrix
    here, and are made orthogonal as one.

    Muon's rate is multiplied by .2 * sqrt(max(rows, columns)), after which the size of its updates
    is AdamW's, and so rate and decay are too (J. Liu et al. 2025, https://arxiv.org/abs/2502.16982,
    section 2.2).
    """

    def __init__(self, model: nn.Module, config: PretrainConfig) -> None:
        matrices = layer_matrices(model)
        known = {id(matrix) for matrix in matrices}
        others = [weight for weight in model.parameters() if id(weight) not in known]
        rate, decay = config.learning_rate, config.weight_decay
        self.muon = torch.optim.Muon(
            matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
        )
        self.adamw = torch.optim.AdamW(
            _groups(others, decay),
            lr=rate,
            betas=(BETA1, config.adam_beta2),
            eps=config.adam_epsilon,
            fused=True,
        )
        super().__init__(self.muon.param_groups + self.adamw.param_groups, {})
        self._share()

    def _share(self) -> None:
        """Make the state and the groups of both optimizers those of this one."""
        self.muon.state = self.adamw.state = self.state
        self.muon.param_groups = self.param_groups[:1]
        self.adamw.param_groups = self.param_groups[1:]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all weights; `closure` is not supported, and must be None."""
        if closure is not None:
            raise TypeError("MuonAndAdamW takes no closure")
        self.muon.step()  # type: ignore[no-untyped-call]
        self.adamw.step()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state_dict)
        self._share()


def layer_matrices(model: nn.Module) -> list[Tensor]:
    """Return the weights of `nn.Linear` inside lists of modules, the layers of a transformer."""
    found = [
        part.weight
        for stack in model.modules()
        if isinstance(stack, nn.ModuleList)
        for part in stack.modules()
        if isinstance(part, nn.Linear) and part.weight.requires_grad
    ]
    return list(dict.fromkeys(found))


def _adamw(model: nn.Module, config: PretrainConfig) -> torch.optim.Optimizer:
    return adamw(
        model,
        config.learning_rate,
        weight_decay=config.weight_decay,
        beta2=config.adam_beta2,
        epsilon=config.adam_epsilon,
    )


def _sgd(model: nn.Module, config: PretrainConfig) -> torch.optim.Optimizer:
    """Return SGD; its decay is part of the gradient, and so of the momentum."""
    groups = _groups(model.parameters(), config.weight_decay)
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=MOMENTUM, fused=True)


def _adafactor(model: nn.Module, config: PretrainConfig) -> torch.optim.Optimizer:
    """Return Adafactor without a first moment (https://arxiv.org/abs/1804.04235, section 9).

    The rate is the highest step relative to the weights' size (there 1e-2): no more than the root
    of one over the number of the step.
    """
    groups = _groups(model.parameters(), config.weight_decay)
    return torch.optim.Adafactor(groups, lr=config.learning_rate)


def _lamb(model: nn.Module, config: PretrainConfig) -> torch.optim.Optimizer:
    """Return LAMB as ALBERT used it (google-research/albert, `lamb_optimizer.py`).

    Without correction of bias; decay is part of the update; vectors have neither decay nor a trust
    ratio. The norm of a weight is not limited: the package's 10 is less than a vocabulary's.
    """
    try:
        from pytorch_optimizer import Lamb
    except ImportError as error:
        remedy = "`pip install -e '.[lamb]'`, or choose another --optimizer"
        raise DataError("--optimizer lamb needs the package pytorch_optimizer", remedy) from error
    decayed, plain = _groups(model.parameters(), config.weight_decay)
    optimizer = Lamb(
        [decayed, plain | {"adam": True}],
        lr=config.learning_rate,
        betas=(BETA1, config.adam_beta2),
        eps=config.adam_epsilon,
        weight_decouple=False,
        adam_debias=True,  # leaves the step as it is; else it is divided by 1 - beta1^t
    )
    optimizer.clamp = float("inf")
    return cast(torch.optim.Optimizer, optimizer)


def _groups(parameters: Iterable[Tensor], weight_decay: float) -> list[Group]:
    """Return the trainable weights that are decayed, and the vectors, which are not."""
    weights = [weight for weight in parameters if weight.requires_grad]
    return [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]


OPTIMIZERS: dict[str, Callable[[nn.Module, PretrainConfig], torch.optim.Optimizer]] = {
    "adamw": _adamw,
    "sgd": _sgd,
    "lamb": _lamb,
    "adafactor": _adafactor,
    "muon": MuonAndAdamW,
}
