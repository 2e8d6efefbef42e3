"""Small models of every kind that is searched, and sources of several lengths."""

import pytest
import torch
from torch import Tensor, nn

from utils.recurrent import RecurrentConfig, RecurrentTranslator
from utils.transformer import CLEAR, END, PADDING, Transformer, TransformerConfig

VOCAB = 11
SIZES = {"vocab_size": VOCAB, "layers": 2, "d_model": 16, "d_ff": 32, "heads": 2, "dropout": 0.3, "tying": "none"}
RECURRENT = {"vocab_size": VOCAB, "layers": 2, "d_model": 12, "d_hidden": 10, "dropout": 0.3, "tying": "none"}
BUILDERS = {
    "post": lambda: Transformer(TransformerConfig(**SIZES)),
    "pre": lambda: Transformer(TransformerConfig(**SIZES, norm="pre")),
    "clear": lambda: Transformer(TransformerConfig(**SIZES), CLEAR),
    "learned": lambda: Transformer(TransformerConfig(**SIZES, positions="learned", max_len=64)),
    "gru": lambda: RecurrentTranslator(RecurrentConfig(**RECURRENT)),
    "lstm": lambda: RecurrentTranslator(RecurrentConfig(**RECURRENT, cell="lstm")),
    "no attention": lambda: RecurrentTranslator(RecurrentConfig(**RECURRENT, attention=False)),
}


def lively(model: nn.Module) -> nn.Module:
    """Random weights, but with opinions: differences between tokens are large and END does come up."""
    with torch.no_grad():
        model.output.weight *= 4
        if isinstance(model, RecurrentTranslator):
            model.combine.weight *= 4
            model.bridge.weight *= 4
    return model


@pytest.fixture(params=BUILDERS)
def model(request) -> nn.Module:
    torch.manual_seed(3)
    return lively(BUILDERS[request.param]())


@pytest.fixture
def source() -> Tensor:
    """(6, 7) ids: lengths 6, 3, 1, 5, 6, 2, each closed by END."""
    torch.manual_seed(5)
    lengths = [6, 3, 1, 5, 6, 2]
    source = torch.full((len(lengths), max(lengths) + 1), PADDING)
    for row, length in zip(source, lengths, strict=True):
        row[:length] = torch.randint(4, VOCAB, (length,))
        row[length] = END
    return source


class Markov(nn.Module):
    """A "model" whose next token depends on the last token and on how many came before, by a table of ours.

    table: (steps, vocab_size, vocab_size) log-probabilities; the last step's go on for ever.
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table)
        self.config = None
        self.rows_seen: list[int] = []

    def start(self, source: Tensor, beams: int = 1, cache: bool = True) -> "MarkovStepper":
        return MarkovStepper(self, beams)


class MarkovStepper:
    def __init__(self, model: Markov, beams: int) -> None:
        self.model, self.beams, self.length = model, beams, 0

    def step(self, tokens: Tensor) -> Tensor:
        self.model.rows_seen.append(len(tokens))
        logits = self.model.table[min(self.length, len(self.model.table) - 1), tokens]
        self.length += 1
        return logits.clone()

    def reorder(self, rows: Tensor) -> None:
        pass

    def keep(self, sentences: Tensor) -> None:
        pass


@pytest.fixture
def markov() -> type[Markov]:
    return Markov
