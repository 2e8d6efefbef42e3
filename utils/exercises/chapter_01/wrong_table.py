"""What goes wrong with the table of vectors (chapter 01), and what puts it right.

All classes made here bear the names that are asked for, since Python's own messages mention them.
"""

import math

import torch
from torch import nn

from utils.exercises.declare import Misconception

# 1.4, the token embedding ─────────────────────────────────────────────────────────────────────────────────────────


def small(vocab_size, d_model):
    """The right start."""
    return torch.randn(vocab_size, d_model) / math.sqrt(d_model)


def embedding(start=small, factor=math.sqrt, look_up=nn.functional.embedding):
    """A wrong answer to 1.4: `factor` gets d_model."""

    class TokenEmbedding(nn.Module):
        def __init__(self, vocab_size, d_model):
            super().__init__()
            self.sizes = vocab_size, d_model
            self.weight = nn.Parameter(start(vocab_size, d_model))

        def forward(self, tokens):
            return look_up(tokens, self.weight) * factor(self.sizes[1])

    return TokenEmbedding


def another_name():
    class TokenEmbedding(nn.Module):
        def __init__(self, vocab_size, d_model):
            super().__init__()
            self.table = nn.Parameter(small(vocab_size, d_model))

        def forward(self, tokens):
            return nn.functional.embedding(tokens, self.table) * math.sqrt(self.table.size(1))

    return TokenEmbedding


def no_parameter():
    class TokenEmbedding(nn.Module):
        def __init__(self, vocab_size, d_model):
            super().__init__()
            self.weight = small(vocab_size, d_model)

        def forward(self, tokens):
            return nn.functional.embedding(tokens, self.weight) * math.sqrt(self.weight.size(1))

    return TokenEmbedding


def scaled_by_vocabulary():
    class TokenEmbedding(embedding()):
        def forward(self, tokens):
            return nn.functional.embedding(tokens, self.weight) * math.sqrt(self.weight.size(0))

    return TokenEmbedding


def through_one_hot(tokens, weight):
    return nn.functional.one_hot(tokens, len(weight)).to(weight.dtype) @ weight


def padding_silenced():
    class TokenEmbedding(embedding()):
        def forward(self, tokens):
            return super().forward(tokens) * (tokens != 0).unsqueeze(-1)

    return TokenEmbedding


def on_its_side():
    class TokenEmbedding(nn.Module):
        def __init__(self, vocab_size, d_model):
            super().__init__()
            self.weight = nn.Parameter(small(vocab_size, d_model).t().contiguous())

        def forward(self, tokens):
            return nn.functional.embedding(tokens, self.weight.t()) * math.sqrt(self.weight.size(0))

    return TokenEmbedding


def scaled_in_one_mode(training):
    class TokenEmbedding(embedding()):
        def forward(self, tokens):
            vectors = nn.functional.embedding(tokens, self.weight)
            return vectors * math.sqrt(self.sizes[1]) if self.training == training else vectors

    return TokenEmbedding


def xavier(vocab_size, d_model):
    return nn.init.xavier_uniform_(torch.empty(vocab_size, d_model))


EMBEDDING = (
    # Right but for the start, and first: with a wrong factor a wrong start can look like a right one.
    Misconception(
        "nn.Embedding's own start",
        embedding(start=torch.randn),
        "You draw the table from N(0, 1), as nn.Embedding does. Times √d_model the vectors have a standard deviation "
        "of √d_model, 22.6 for d_model = 512, and drown the positional code; as output matrix the same table gives "
        "logits as wild.",
    ),
    Misconception(
        "Xavier's start",
        embedding(start=xavier),
        "You draw the table as Xavier has it. The large vocabulary is in its formula, so the numbers are tiny: times "
        "√d_model a table of 37 000 × 512 has a standard deviation of 0.17.",
    ),
    Misconception(
        "uniform between 0 and 1",
        embedding(start=lambda vocab_size, d_model: torch.rand(vocab_size, d_model) / math.sqrt(d_model)),
        "`torch.rand` draws between 0 and 1, so that all vectors point into the same corner. `torch.randn` draws from "
        "N(0, 1).",
    ),
    Misconception(
        "variance taken for the deviation",  # before "not scaled", whose vectors are the same when new
        embedding(start=lambda vocab_size, d_model: torch.randn(vocab_size, d_model) / d_model),
        "You divide what `torch.randn` draws by d_model. In N(0, 1/d_model), 1/d_model is the variance; the standard "
        "deviation is its root: divide by √d_model.",
    ),
    Misconception(
        "not scaled",
        embedding(factor=lambda d_model: 1.0),
        "The factor √d_model of §3.4 is missing. Without it a table from N(0, 1/d_model) gives vectors of length 1, "
        "beside a positional code of length √(d_model / 2). A table from N(0, 1) makes up for that at this end of the "
        "model, but the output layer shares it, and gets wild logits.",
    ),
    Misconception(
        "scaled by d_model",
        embedding(factor=lambda d_model: d_model),
        "You multiply by d_model; §3.4 multiplies by its root, √d_model.",
    ),
    Misconception(
        "divided by the root",
        embedding(factor=lambda d_model: 1 / math.sqrt(d_model)),
        "You divide by √d_model. That is what attention does to scores; here the vectors are multiplied by it.",
    ),
    Misconception(
        "scaled by the vocabulary",
        scaled_by_vocabulary(),
        "You multiply by the root of the number of rows, √vocab_size. The factor of §3.4 is the root of a row's width, "
        "√d_model.",
    ),
    Misconception(
        "padding silenced",
        padding_silenced(),
        "You set the vectors of padding to zero. Some code does; here every id is treated alike, and it is the mask of "
        "Exercise 1.3 that keeps padding out.",
    ),
    Misconception(
        "scaled in training only",
        scaled_in_one_mode(training=True),
        "You multiply by √d_model in training mode only. The factor is part of the model, not of its training: without "
        "it, evaluation sees vectors that the layers were never trained on.",
    ),
    Misconception(
        "scaled in evaluation only",
        scaled_in_one_mode(training=False),
        "In training mode you do not multiply by √d_model. The factor belongs to both modes: evaluation must see what "
        "the layers were trained on.",
    ),
    Misconception(
        "one-hot of 64 bits only",
        embedding(look_up=through_one_hot),
        "Your product with the one-hot matrix is right, but `one_hot` takes int64 alone, and ids may come as int32: "
        "`one_hot(tokens.long(), …)`. A look-up takes both, and skips the products with zero.",
    ),
    Misconception(
        "another name",
        another_name(),
        "Right, but the table has to be called `self.weight`: the output layer of Exercise 1.5 looks for it under this "
        "name, in order to share it.",
    ),
    Misconception(
        "no parameter",
        no_parameter(),
        "Your module has no parameter: its table, if there is one, is a plain tensor. Only an nn.Parameter is found by "
        "`parameters()`: an optimiser would never change a tensor, and a checkpoint would not hold it.",
    ),
    Misconception(
        "table on its side",
        on_its_side(),
        "Your table is (d_model, vocab_size): a token is a column of it. Asked for is a row a token, (vocab_size, "
        "d_model), which lies in memory in one piece and which the output layer can multiply with as it is. (Or have "
        "the constructor's two sizes changed places? vocab_size comes first.)",
    ),
)


# 1.5, the output layer ────────────────────────────────────────────────────────────────────────────────────────────


def shared_or_own(vocab_size, d_model, tied_to):
    """The right matrix."""
    return nn.Parameter(xavier(vocab_size, d_model)) if tied_to is None else tied_to.weight


def output(matrix=shared_or_own, score=nn.functional.linear):
    """A wrong answer to 1.5."""

    class OutputLayer(nn.Module):
        def __init__(self, vocab_size, d_model, tied_to=None):
            super().__init__()
            self.weight = matrix(vocab_size, d_model, tied_to)

        def forward(self, states):
            return score(states, self.weight)

    return OutputLayer


def copied(vocab_size, d_model, tied_to):
    start = xavier(vocab_size, d_model) if tied_to is None else tied_to.weight.detach().clone()
    return nn.Parameter(start)


def drawn_anew():
    class OutputLayer(nn.Module):
        def __init__(self, vocab_size, d_model, tied_to=None):
            super().__init__()
            self.weight = shared_or_own(vocab_size, d_model, tied_to)
            nn.init.xavier_uniform_(self.weight)

        def forward(self, states):
            return nn.functional.linear(states, self.weight)

    return OutputLayer


def with_bias():
    class OutputLayer(nn.Module):
        def __init__(self, vocab_size, d_model, tied_to=None):
            super().__init__()
            self.weight = shared_or_own(vocab_size, d_model, tied_to)
            self.bias = nn.Parameter(torch.zeros(vocab_size))

        def forward(self, states):
            return nn.functional.linear(states, self.weight, self.bias)

    return OutputLayer


def bias_when_tied():
    class OutputLayer(nn.Module):
        def __init__(self, vocab_size, d_model, tied_to=None):
            super().__init__()
            self.weight = shared_or_own(vocab_size, d_model, tied_to)
            self.bias = None if tied_to is None else nn.Parameter(torch.zeros(vocab_size))

        def forward(self, states):
            return nn.functional.linear(states, self.weight, self.bias)

    return OutputLayer


def output_under_another_name():
    class OutputLayer(nn.Module):
        def __init__(self, vocab_size, d_model, tied_to=None):
            super().__init__()
            self.matrix = shared_or_own(vocab_size, d_model, tied_to)

        def forward(self, states):
            return nn.functional.linear(states, self.matrix)

    return OutputLayer


def on_its_side_as_output(tie):
    """A wrong answer to 1.5 whose own matrix is (d_model, vocab_size); tie gets the embedding's table."""

    def matrix(vocab_size, d_model, tied_to):
        return nn.Parameter(xavier(d_model, vocab_size)) if tied_to is None else tie(tied_to.weight)

    return output(matrix, lambda states, weight: states @ weight)


def scaled_again(states, weight):
    return nn.functional.linear(states, weight) * math.sqrt(weight.size(1))


def scaled_down(states, weight):
    return nn.functional.linear(states, weight) / math.sqrt(weight.size(1))


SIDEWAYS = (
    "Your own matrix is (d_model, vocab_size). Like the embedding's table it has a row for each token, (vocab_size, "
    "d_model), so that one can stand in for the other: transpose it where it is used, `states @ self.weight.t()`."
)
OUTPUT = (
    Misconception(
        "bias when tied",
        bias_when_tied(),
        "Beside the shared table your layer has a bias, zero now and trained later. Asked for is the table alone, with "
        "no bias.",
    ),
    Misconception(
        "copied table",
        output(matrix=copied),
        "No gradient comes from your output layer to the embedding's table: your layer has a copy of it, or a "
        "Parameter of its own on the same numbers (or you froze it, `requires_grad=False`). Two Parameters are equal "
        "now and drift apart with the first update, since each gets its own gradient. Tying means one Parameter with "
        "two names: `self.weight = tied_to.weight`.",
    ),
    Misconception(
        "never shares",
        output(matrix=lambda vocab_size, d_model, tied_to: shared_or_own(vocab_size, d_model, None)),
        "You make a matrix of your own although an embedding was given to share with: with `tied_to` the matrix is its "
        "`weight`.",
    ),
    Misconception(
        "embedding's numbers lost",
        drawn_anew(),
        "What the embedding had is lost: you draw the shared table anew, or you give your own matrix to the embedding "
        "(`tied_to.weight = …`). Take its table as it is, `self.weight = tied_to.weight`, and initialise an own matrix "
        "only.",
    ),
    Misconception(
        "always shares",
        output(matrix=lambda vocab_size, d_model, tied_to: tied_to.weight),
        "`tied_to` may be None. Then the layer has a matrix of its own, Xavier-initialised.",
    ),
    Misconception(
        "scaled like the embedding",
        output(score=scaled_again),
        "You multiply the logits by √d_model. The factor belongs to the embedding; the output layer uses the bare "
        "table, whose numbers of size 1/√d_model give logits of size 1.",
    ),
    Misconception(
        "scaled down like scores",
        output(score=scaled_down),
        "You divide the logits by √d_model, as attention does with its scores. Queries and keys have numbers of size "
        "1; the rows of this table have size 1/√d_model already, so the logits have size 1 as they are.",
    ),
    Misconception(
        "softmax inside",
        output(score=lambda states, weight: nn.functional.linear(states, weight).softmax(dim=-1)),
        "You return probabilities. Asked for are logits: the loss takes the logarithm of the softmax itself, and does "
        "it without losing digits.",
    ),
    Misconception(
        "log-softmax inside",
        output(score=lambda states, weight: nn.functional.linear(states, weight).log_softmax(dim=-1)),
        "You return log-probabilities. Asked for are logits: the softmax comes after this layer, in the loss or in the "
        "search.",
    ),
    Misconception(
        "not transposed",
        output(score=lambda states, weight: states @ weight),
        "`states @ weight` multiplies (…, d_model) with (vocab_size, d_model): inner sizes do not meet, or meet by "
        "chance. The table is (vocab_size, d_model), so its transpose is what a state is multiplied with.",
    ),
    Misconception(
        "matrix on its side",
        on_its_side_as_output(lambda weight: weight.t()),
        SIDEWAYS + " With `weight.t()` of the embedding's table, `self.weight` is no Parameter either.",
    ),
    Misconception(
        "own matrix on its side",
        on_its_side_as_output(lambda weight: weight),
        SIDEWAYS + " With `tied_to` the table comes in that form, and `states @ self.weight` stops with an error.",
    ),
    Misconception(
        "a bias",
        with_bias(),
        "Your layer has a bias. The paper's output layer shares the embedding's matrix, which has none; leave it out, "
        "so that the layer is a matrix and nothing else.",
    ),
    Misconception(
        "matrix under another name",
        output_under_another_name(),
        "Right, but the matrix has to be called `self.weight`: training looks for it under this name, in order to "
        "compute the loss without ever holding all logits.",
    ),
    Misconception(
        "own matrix of zeros",
        output(matrix=lambda v, d, tied_to: nn.Parameter(torch.zeros(v, d)) if tied_to is None else tied_to.weight),
        "Your own matrix starts with zeros. Then no gradient reaches the states in the first update, since it comes "
        "through this matrix. Xavier's small random numbers let it through.",
    ),
)
