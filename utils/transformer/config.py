"""The sizes of a Transformer, checked when they are set (§3, Table 3)."""

from dataclasses import asdict, dataclass, fields

from utils.errors import ConfigError


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes and choices of one model, in the paper's symbols; the defaults are the paper's base model."""

    vocab_size: int = 37_000  # V: one vocabulary for both languages (§5.1)
    layers: int = 6  # N, in the encoder and in the decoder
    d_model: int = 512
    d_ff: int = 2048
    heads: int = 8  # h
    d_k: int | None = None  # d_model / heads unless set (Table 3, rows B)
    d_v: int | None = None
    dropout: float = 0.1  # P_drop
    norm: str = "post"  # "post": the paper; "pre": most models since
    positions: str = "sinusoidal"  # "learned": Table 3, row E
    max_len: int = 256  # learned positions end here; sinusoids grow
    tying: str = "three-way"  # source, target and output share one table (§3.4); "output", "none"
    attention_bias: bool = True  # the paper's projections read as plain matrices; most code adds a bias

    def __post_init__(self) -> None:
        for name in ("vocab_size", "layers", "d_model", "d_ff", "heads", "max_len"):
            _check(_is_count(getattr(self, name)), self, name, "whole numbers from 1")
        for name in ("d_k", "d_v"):
            width = getattr(self, name)
            _check(width is None or _is_count(width), self, name, "whole numbers from 1, or none for d_model / heads")
        if self.d_k is None or self.d_v is None:
            fitting = [n for n in (1, 2, 3, 4, 6, 8, 12, 16, 32, 64) if self.d_model % n == 0]
            _check(self.d_model % self.heads == 0, self, "heads", f"{_listed(fitting)}, which divide {self.d_model}")
        is_number = isinstance(self.dropout, int | float) and not isinstance(self.dropout, bool)
        _check(is_number and 0 <= self.dropout < 1, self, "dropout", "numbers from 0 up to, but not including, 1")
        for name, good in CHOICES.items():
            _check(getattr(self, name) in good, self, name, _listed(good))
        _check(isinstance(self.attention_bias, bool), self, "attention_bias", "True and False")
        _check(self.positions == "learned" or self.d_model % 2 == 0, self, "d_model", "even, for sinusoidal positions")

    def to_dict(self) -> dict:
        """A plain dictionary, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "TransformerConfig":
        """The inverse of `to_dict`; an unknown name is a ConfigError that lists the known ones."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"A Transformer has no setting {unknown[0]!r}: known are {_listed(sorted(known))}.")
        return cls(**values)


CHOICES = {
    "norm": ("post", "pre"),
    "positions": ("sinusoidal", "learned"),
    "tying": ("three-way", "output", "none"),
}


def _listed(values) -> str:
    return ", ".join(str(value) for value in values)


def _is_count(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check(holds: bool, config: object, name: str, good: str) -> None:
    if not holds:
        raise ConfigError(f"{name} is {getattr(config, name)!r}: good values are {good}.")


BASE = TransformerConfig()
BIG = TransformerConfig(d_model=1024, d_ff=4096, heads=16, dropout=0.3)
