"""All that defines a training run, with a preset for each thing one would want to train."""

from dataclasses import asdict, dataclass, fields, replace

from utils.errors import ConfigError
from utils.recurrent import RecurrentConfig, size_matched
from utils.text.corpora import CORPORA, DIRECTIONS
from utils.text.tokenise import KINDS
from utils.training.device import DEVICES, PRECISIONS
from utils.training.schedule import SCHEDULES
from utils.transformer.config import TransformerConfig

MODELS = ("transformer", "mine", "gru", "lstm", "gru-no-attention", "lstm-no-attention")


@dataclass(frozen=True)
class Settings:
    """One run. Every field is an option of `python -m utils train`."""

    preset: str = "tiny"
    # what to learn from
    corpus: str = "embedded"
    data_dir: str | None = None  # folder with Multi30k
    source_file: str | None = None  # corpus "files": line i of one translates line i of the other
    target_file: str | None = None
    direction: str = "en-de"
    tokeniser: str = "words"
    vocab_size: int = 10_000  # at most so many entries, shared by both languages
    # the model (§3)
    model: str = "transformer"
    layers: int = 2  # N
    d_model: int = 128
    d_ff: int = 256
    heads: int = 4  # h
    d_k: int | None = None
    d_v: int | None = None
    dropout: float = 0.05  # P_drop
    norm: str = "pre"  # learns faster here; "post" is the paper's
    positions: str = "sinusoidal"
    max_len: int = 256
    tying: str = "three-way"
    attention_bias: bool = True
    # the training (§5)
    updates: int = 2000
    batch_tokens: int = 1024  # target tokens a batch, per process
    accumulate: int = 1  # batches an update
    schedule: str = "inverse-sqrt"
    peak: float | None = 4e-3  # learning rate at the end of the warm-up; none: Eq. 3's own
    warmup: int = 200
    cooldown: float = 0.6  # share of the updates over which the rate falls to zero
    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-9
    weight_decay: float = 0.0
    label_smoothing: float = 0.1
    clip: float = 1.0  # norm of the gradient; 0: no clipping
    average: int = 1  # average so many of the last checkpoints at the end
    patience: int = 0  # stop after so many validations without a better loss; 0: never
    # the run
    seed: int = 1
    log_every: int = 20
    validate_every: int = 250
    checkpoint_every: int = 250
    keep: int = 2  # checkpoints kept, besides those that will be averaged
    device: str = "auto"
    precision: str = "auto"
    compile: bool = False

    def __post_init__(self) -> None:
        choices = {
            "preset": PRESETS, "corpus": CORPORA, "direction": DIRECTIONS, "tokeniser": KINDS, "model": MODELS,
            "schedule": SCHEDULES, "device": DEVICES, "precision": PRECISIONS,
        }  # fmt: skip
        for name, good in choices.items():
            self._check(name, getattr(self, name) in good, ", ".join(good))
        for name in ("updates", "accumulate", "warmup", "log_every", "validate_every", "checkpoint_every", "average"):
            self._check(name, getattr(self, name) >= 1, "whole numbers from 1")
        self._check("vocab_size", self.vocab_size >= 8, "whole numbers from 8")
        self._check("batch_tokens", self.batch_tokens >= 16, "whole numbers from 16")
        self._check("keep", self.keep >= 1, "whole numbers from 1")
        self._check("patience", self.patience >= 0, "whole numbers from 0")
        self._check("seed", 0 <= self.seed < 2**31, "whole numbers from 0 to 2147483647")
        self._check("peak", self.peak is None or self.peak > 0, "numbers above 0, or none for Eq. 3's own")
        for name in ("cooldown", "label_smoothing", "beta1", "beta2", "dropout"):
            good = 0 <= getattr(self, name) < 1 or (name == "cooldown" and self.cooldown == 1)
            self._check(name, good, "numbers from 0 up to, but not including, 1")
        self._check("epsilon", self.epsilon > 0, "numbers above 0")
        for name in ("clip", "weight_decay"):
            self._check(name, getattr(self, name) >= 0, "numbers from 0")
        self.transformer_config(self.vocab_size)

    def _check(self, name: str, holds: bool, good: str) -> None:
        if not holds:
            raise ConfigError(f"{name} is {getattr(self, name)!r}: good values are {good}.")

    def transformer_config(self, vocab_size: int) -> TransformerConfig:
        """The sizes of the Transformer for a vocabulary."""
        names = {field.name for field in fields(TransformerConfig)}
        chosen = {name: value for name, value in asdict(self).items() if name in names}
        return TransformerConfig(**{**chosen, "vocab_size": vocab_size})

    def model_config(self, vocab_size: int) -> TransformerConfig | RecurrentConfig:
        """The model's sizes; a recurrent model is matched to the Transformer's parameter count."""
        config = self.transformer_config(vocab_size)
        if self.model in ("transformer", "mine"):
            return config
        return size_matched(config, cell=self.model.split("-")[0], attention="no-attention" not in self.model)

    def to_dict(self) -> dict:
        """A plain dictionary, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Settings":
        """The inverse of `to_dict`."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"There is no setting {unknown[0]!r}: known are {', '.join(sorted(known))}.")
        return cls(**values)


PRESETS: dict[str, str] = {
    "tiny": "the embedded corpus, a few minutes on a CPU",
    "multi30k": "Multi30k with the Transformer-Tiny of Wu et al. 2021: 20 minutes on a CPU, better on a GPU",
    "base": "the paper's base model (Table 3), for GPUs",
    "big": "the paper's big model (Table 3), for GPUs",
}

TINY = Settings()
MULTI30K = replace(
    TINY, preset="multi30k", corpus="multi30k", tokeniser="bpe", layers=4, norm="pre", dropout=0.3,
    updates=8000, batch_tokens=8192, peak=5e-3, warmup=2000, cooldown=0.0, average=10, clip=1.0,
    validate_every=100, checkpoint_every=100,
)  # fmt: skip
# What 20 minutes on 2 cores can use: less dropout, smaller batches, a schedule that ends in time.
MULTI30K_CPU = replace(
    MULTI30K, vocab_size=8000, dropout=0.2, updates=9000, batch_tokens=1024, peak=3e-3, warmup=500, cooldown=0.5,
    average=1, validate_every=500, checkpoint_every=500,
)  # fmt: skip
BASE = replace(
    MULTI30K, preset="base", vocab_size=37_000, layers=6, d_model=512, d_ff=2048, heads=8, norm="post", dropout=0.1,
    updates=100_000, batch_tokens=3200, accumulate=1, schedule="paper", peak=None, warmup=4000, average=5, clip=0.0,
    log_every=100, validate_every=1500, checkpoint_every=1500,
)  # fmt: skip
BIG = replace(BASE, preset="big", d_model=1024, d_ff=4096, heads=16, dropout=0.3, updates=300_000, average=20)

MINUTES_ON_CPU: dict[str, float | None] = {"tiny": 3, "multi30k": 20, "base": None, "big": None}


def preset_settings(preset: str | None, corpus: str | None, on_cpu: bool, **changes) -> Settings:
    """The settings of a preset with some fields changed.

    Without a preset the corpus decides: "tiny" for the embedded one, "multi30k" for real text. On a CPU the
    preset multi30k trains with the recipe that 20 minutes there can use.
    """
    preset = preset or ("tiny" if corpus in (None, "embedded") else "multi30k")
    if preset not in PRESETS:
        raise ConfigError(f"preset is {preset!r}: good values are {', '.join(PRESETS)}.")
    chosen = {
        "tiny": TINY, "multi30k": MULTI30K_CPU if on_cpu else MULTI30K, "base": BASE, "big": BIG,
    }[preset]  # fmt: skip
    if corpus is not None:
        changes["corpus"] = corpus
    return replace(chosen, **changes)
