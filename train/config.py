"""What a person can choose in `pretrain`, with checks; imports nothing heavy."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from model.config import ElectraConfig, LanguageModelConfig, SentenceOrder
from model.presets import PRESETS, PairName
from pipeline.config import SIZE
from train.stages import Stage, parse_stages, restore_stages

PresetName = Literal[
    PairName,
    "albert-tiny",
    "albert-base",
    "albert-large",
    "albert-xlarge",
    "albert-xxlarge",
    "bert-tiny",
    "bert-mini",
    "bert-small",
    "bert-medium",
    "bert-base",
    "bert-large",
    "algpt2-small",
    "algpt2-medium",
    "algpt2-large",
    "algpt2-xl",
    "gpt2-small",
    "nystromformer-base",
    "hour-mlm",
]
DEFAULT_PRESET: PresetName = "home"
Device = Literal["auto", "cpu", "cuda", "mps"]
ScheduleName = Literal["linear", "cosine", "constant"]
OptimizerName = Literal["adamw", "sgd", "lamb", "adafactor", "muon"]
PrecisionName = Literal["auto", "float32", "bfloat16", "float16"]

ADAM = {"weight_decay": 0.01, "adam_beta2": 0.999, "adam_epsilon": 1e-6}
"""ELECTRA (google-research/electra, `model/optimization.py` and Table 6), as BERT and ALBERT."""
ADAM_OF_DECODERS = {"weight_decay": 0.1, "adam_beta2": 0.95, "adam_epsilon": 1e-8}
"""nanoGPT, `train.py`; epsilon: torch's own."""

BEGIN_WITH = {
    "sgd": "try 0.1, 0.01 and 0.001; no rate is usual for transformers",
    "lamb": "begin with 0.00176, ALBERT's with 4,096 rows, or less with fewer",
    "adafactor": "begin with 0.01, its authors' rate",
}
"""Learning rates: ALBERT (https://arxiv.org/abs/1909.11942), Adafactor
(https://arxiv.org/abs/1804.04235, section 9)."""
RATHER = {"learning_rate": "0.0005", "hours": "0.5", "max_grad_norm": "1", "adam_epsilon": "1e-8"}
"""What to give where a number is refused that need not be whole."""


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """What decides the numbers of a run; `pretrain_config` fills in what the preset says.

    It is stored with the run, and a resume with another value is refused.

    Raises:
        ValueError: A value is out of range, or two do not go together.
    """

    preset: Annotated[PresetName, "networks and defaults"] = DEFAULT_PRESET
    steps: Annotated[int, "updates in the whole run"]
    hours: Annotated[float | None, "train for so long, whatever the steps"] = None
    batch_size: Annotated[int, "rows in an update; with --stages, in one of the first stage"]
    learning_rate: Annotated[float, "peak of the schedule"]
    schedule: Annotated[
        ScheduleName, "how the rate goes on from its peak; the first two end at 0, with the run"
    ] = "linear"
    warmup: Annotated[float, "updates in which the rate rises; below 1, share of the run"]
    optimizer: Annotated[OptimizerName, "muon: for matrices in layers, AdamW for the rest"] = (
        "adamw"
    )
    weight_decay: Annotated[float, "of all but biases and norms"]
    adam_beta2: Annotated[float, "decay of AdamW's and LAMB's second moments"]
    adam_epsilon: Annotated[float, "added to the root of them"]
    max_grad_norm: Annotated[float, "clip gradients to this norm over all weights"] = 1.0
    stages: Annotated[
        tuple[Stage, ...],
        "row lengths in turn, each with its share of the run: 128:0.9,512:0.1; a single one needs "
        "no share: 512; rows in an update as in 128x256:0.9,512x64:0.1, or else as many as keep "
        "its tokens the same",
        parse_stages,
    ] = ()
    sentence_order: Annotated[
        SentenceOrder | None, "which networks of a pair learn the order of sentences"
    ]
    precision: Annotated[
        PrecisionName, "of matrix products; auto: the fastest that is sound on the device"
    ] = "auto"
    seed: Annotated[int, "seed of every random choice"] = 0

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "stages", restore_stages(self.stages))
        except ValueError as error:
            raise ValueError(f"--stages: {error}") from error
        _check_preset(self.preset)
        is_pair = isinstance(PRESETS[self.preset].model, ElectraConfig)
        if not is_pair and self.sentence_order is not None:
            problem = f"--sentence-order is for pairs of networks, not for {self.preset}"
            raise ValueError(f"{problem}: leave it out, or choose a pair such as --preset home")
        _check_positive(self, "steps", "batch_size", "learning_rate", "max_grad_norm")
        _check_positive(self, "adam_epsilon", *(["hours"] if self.hours is not None else []))
        if self.learning_rate > 1:
            usual = f"give at most 1; {PRESETS[self.preset].learning_rate:g} is the preset's"
            raise ValueError(f"--learning-rate {self.learning_rate} is more than 1: {usual}")
        for name in ("adam_beta2", "weight_decay"):
            if not 0 <= getattr(self, name) < 1:
                problem = f"{_flag(name)} {getattr(self, name)} is not from 0 to below 1"
                raise ValueError(f"{problem}: give one that is, such as {ADAM[name]:g}")
        if not 0 <= self.seed < 1 << 63:
            problem = f"--seed {self.seed} is not between 0 and {(1 << 63) - 1}"
            raise ValueError(f"{problem}: give one that is, such as 0")
        self._check_warmup()

    def _check_warmup(self) -> None:
        if not 0 <= self.warmup < math.inf or (self.warmup > 1 and self.warmup % 1):
            problem = f"--warmup {self.warmup} is neither a share nor a number of updates"
            raise ValueError(f"{problem}: give a share below 1, such as 0.1, or whole updates")
        if self.warmup < 1:
            return
        if self.hours is not None:
            problem = f"--warmup {self.warmup:g} counts updates, which --hours does not"
            raise ValueError(f"{problem}: give a share of the run, below 1")
        if self.warmup > self.steps:
            problem = f"--warmup {self.warmup:g} is more than --steps {self.steps}"
            raise ValueError(f"{problem}: give {self.steps} or fewer, or a share below 1")

    @property
    def warmup_steps(self) -> int:
        """Return in how many of `steps` the learning rate rises."""
        return round(self.warmup if self.warmup >= 1 else self.warmup * self.steps)

    @property
    def seconds(self) -> float | None:
        """Return how long the run may train; None: until it has done its steps."""
        return None if self.hours is None else 3600 * self.hours


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a run is carried out; all may change at a resume, which else goes on as before.

    Attributes:
        most_tokens: Of a forward pass: what running out of memory has left; no option.

    Raises:
        ValueError: A value is out of range, or two do not go together.
    """

    device: Annotated[Device, "where to compute"] = "auto"
    micro_batch: Annotated[
        int | None, "rows in a forward pass at most  [default: what --memory has room for, or all]"
    ] = None
    memory: Annotated[int | None, "fit training into so much memory, such as 4GB", SIZE] = None
    activation_checkpointing: Annotated[
        bool, "compute activations anew for the backward pass: less memory, a third more work"
    ] = False
    compile: Annotated[bool, "compile the networks with torch.compile"] = False
    checkpoint_every: Annotated[int, "updates between checkpoints"]
    evaluate_every: Annotated[
        int | None, "updates between evaluations  [default: with each checkpoint]"
    ] = None
    keep: Annotated[int, "how many of the newest checkpoints are kept"] = 2
    keep_every: Annotated[int | None, "keep those of every so many updates for good"] = None
    log_every: Annotated[
        int | None, "updates between reads of the device's numbers  [default: 1 on cpu, else 10]"
    ] = None
    on_checkpoint: Annotated[
        str | None, "shell command to run after each checkpoint; $1 is its folder"
    ] = None
    quiet: Annotated[bool, "no progress bar"] = False
    most_tokens: int | None = None

    def __post_init__(self) -> None:
        optional = ("micro_batch", "memory", "most_tokens", "evaluate_every", "keep_every")
        chosen = [name for name in (*optional, "log_every") if getattr(self, name) is not None]
        _check_positive(self, "checkpoint_every", "keep", *chosen)
        if self.keep_every is not None and self.keep_every % self.checkpoint_every:
            multiple = f"a multiple of --checkpoint-every {self.checkpoint_every}"
            fitting = math.ceil(self.keep_every / self.checkpoint_every) * self.checkpoint_every
            raise ValueError(f"--keep-every {self.keep_every} is not {multiple}: give {fitting}")
        if self.on_checkpoint is not None and not self.on_checkpoint.strip():
            raise ValueError("--on-checkpoint is empty: give a command, or leave it out")


def pretrain_config(preset: PresetName = DEFAULT_PRESET, **chosen: Any) -> PretrainConfig:  # noqa: ANN401
    """Return the preset's configuration with the `chosen` fields in place of its own.

    Raises:
        ValueError: The preset is unknown, a value is out of range, or two do not go together.
    """
    _check_preset(preset)
    if "hours" in chosen and "steps" in chosen:
        raise ValueError("--hours and --steps both say when the run ends: give one")
    optimizer = chosen.get("optimizer", "adamw")
    if optimizer not in ("adamw", "muon") and "learning_rate" not in chosen:
        problem = f"--optimizer {optimizer} needs --learning-rate, for the preset's is AdamW's"
        raise ValueError(f"{problem}: {BEGIN_WITH.get(optimizer, 'give one')}")
    own = PRESETS[preset]
    is_decoder = isinstance(own.model, LanguageModelConfig) and own.model.model.is_decoder
    defaults: dict[str, Any] = {
        "steps": own.steps,
        "batch_size": own.batch_size,
        "learning_rate": own.learning_rate,
        "warmup": own.warmup_fraction,
        "sentence_order": getattr(own.model, "sentence_order", None),
    }
    defaults |= ADAM_OF_DECODERS if is_decoder else ADAM
    return PretrainConfig(**(defaults | chosen | {"preset": preset}))


def execution(preset: PresetName = DEFAULT_PRESET, **chosen: Any) -> Execution:  # noqa: ANN401
    """Return how to carry out a run of `preset`, with the `chosen` fields.

    Raises:
        ValueError: A value is out of range, or two do not go together.
    """
    return Execution(**({"checkpoint_every": PRESETS[preset].checkpoint_every} | chosen))


def _check_positive(config: PretrainConfig | Execution, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not 0 < value < math.inf:
            problem = "is not above 0" if value != math.inf else "is no number to count with"
            rather = f"one above 0, such as {RATHER[name]}" if name in RATHER else "1 or more"
            raise ValueError(f"{_flag(name)} {value} {problem}: give {rather}")


def _check_preset(preset: str) -> None:
    if preset not in PRESETS:
        raise ValueError(f"--preset {preset} is unknown: give one of {', '.join(PRESETS)}")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
