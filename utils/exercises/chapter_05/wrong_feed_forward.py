"""What goes wrong with the feed-forward network (chapter 05), and what puts it right."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from utils.exercises.declare import Misconception
from utils.transformer import FeedForward

# 5.3, the module ──────────────────────────────────────────────────────────────────────────────────────────────────


def feeding(formula: Callable[[FeedForward, Tensor], Tensor]) -> type[FeedForward]:
    """A wrong answer to 5.3: the right layers with another forward."""

    class Wrong(FeedForward):
        def forward(self, x: Tensor) -> Tensor:
            return formula(self, x)

    return Wrong


class WidthsExchanged(nn.Module):
    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.inner = nn.Linear(d_ff, d_model)
        self.outer = nn.Linear(d_model, d_ff)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x).relu())


class NoBiases(FeedForward):
    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__(d_model, d_ff)
        self.inner = nn.Linear(d_model, d_ff, bias=False)
        self.outer = nn.Linear(d_ff, d_model, bias=False)


FEED_FORWARD = (
    Misconception(
        "no ReLU",
        feeding(lambda n, x: n.outer(n.inner(x))),
        "The max(0, …) of Eq. 2 is missing. Two linear maps without it are one linear map: x W_1 W_2 could be a single "
        "matrix, however wide the inside is.",
    ),
    Misconception(
        "ReLU at the end",
        feeding(lambda n, x: n.outer(n.inner(x)).relu()),
        "Your ReLU stands behind the second layer. In Eq. 2 it stands between the two; behind them it would keep the "
        "sub-layer from ever subtracting anything from the residual stream.",
    ),
    Misconception(
        "two ReLUs",
        feeding(lambda n, x: n.outer(n.inner(x).relu()).relu()),
        "A ReLU between the layers is right; the second one, at the end, is not in Eq. 2, and would keep the sub-layer "
        "from ever subtracting anything from the residual stream.",
    ),
    Misconception(
        "ReLU at the beginning",
        feeding(lambda n, x: n.outer(n.inner(x.relu()))),
        "Your ReLU stands before the first layer. In Eq. 2 it is applied to x W_1 + b_1.",
    ),
    Misconception(
        "GELU",
        feeding(lambda n, x: n.outer(F.gelu(n.inner(x)))),
        "You use GELU, as BERT and GPT-2 do. The paper of 2017 has max(0, …), which is ReLU.",
    ),
    Misconception(
        "sigmoid",
        feeding(lambda n, x: n.outer(n.inner(x).sigmoid())),
        "You use a sigmoid where Eq. 2 has max(0, …), which is ReLU.",
    ),
    Misconception(
        "tanh",
        feeding(lambda n, x: n.outer(n.inner(x).tanh())),
        "You use tanh where Eq. 2 has max(0, …), which is ReLU.",
    ),
    Misconception(
        "x added",
        feeding(lambda n, x: x + n.outer(n.inner(x).relu())),
        "You add x to the result. That is the residual connection's part (Exercise 5.5), which wraps every sub-layer.",
    ),
    Misconception(
        "largest number in place of ReLU",
        feeding(lambda n, x: n.outer(n.inner(x) - n.inner(x).clamp(max=0).amin(dim=-1, keepdim=True))),
        "max(0, …) is meant number by number: negative ones become 0, the others stay.",
    ),
    Misconception(
        "absolute value",
        feeding(lambda n, x: n.outer(n.inner(x).abs())),
        "You take the absolute value. max(0, …) makes negative numbers 0; it does not turn their sign.",
    ),
    Misconception(
        "dropout inside",
        feeding(lambda n, x: n.outer(F.dropout(n.inner(x).relu(), 0.1, training=True))),
        "There is a dropout inside that is active in evaluation mode as well, and Eq. 2 has none. §5.4 puts dropout on "
        "the sub-layer's output, which is the residual connection's part.",
        everywhere=True,
    ),
    Misconception(
        "dropout inside, in training",
        feeding(lambda n, x: n.outer(F.dropout(n.inner(x).relu(), 0.1, n.training))),
        "There is a dropout inside, in training mode, and Eq. 2 has none. §5.4 puts dropout on the sub-layer's output, "
        "which is the residual connection's part.",
    ),
    Misconception(
        "dropout at the end, in training",
        feeding(lambda n, x: F.dropout(n.outer(n.inner(x).relu()), 0.1, n.training)),
        "In training mode your network drops from its result. Eq. 2 has no dropout: §5.4 puts it on the sub-layer's "
        "output, which is the residual connection's part (Exercise 5.5).",
    ),
    Misconception(
        "widths exchanged",
        WidthsExchanged,
        "Your first layer goes from d_ff to d_model. It widens: from d_model to d_ff, and the second comes back.",
    ),
    Misconception(
        "no biases",
        NoBiases,
        "The biases b_1 and b_2 of Eq. 2 are missing: `nn.Linear` has one unless `bias=False` is said.",
    ),
)


# 5.4, two convolutions ────────────────────────────────────────────────────────────────────────────────────────────


def convolving(before: Callable[[Tensor], Tensor], after: Callable[[Tensor, Tensor], Tensor], **options) -> Callable:
    """A wrong answer to 5.4 that brings the channels to their place, or takes them back, in another way."""

    def answer(x, inner_weight, inner_bias, outer_weight, outer_bias):
        hidden = F.conv1d(before(x), inner_weight, inner_bias, **options).relu()
        return after(F.conv1d(hidden, outer_weight, outer_bias), x)

    return answer


def turned(x: Tensor) -> Tensor:
    return x.transpose(1, 2)


def turned_back(y: Tensor, x: Tensor) -> Tensor:
    return y.transpose(1, 2)


def as_it_is(y: Tensor, x: Tensor) -> Tensor:
    return y


def with_formula(formula: Callable) -> Callable:
    """A wrong answer to 5.4 with right axes and another formula."""
    return lambda x, *weights: formula(turned(x), *weights).transpose(1, 2)


AS_CONVOLUTIONS = (
    Misconception(
        "channels last",
        convolving(lambda x: x, as_it_is),
        "You hand x to the convolution as it is. `conv1d` wants (batch, channels, length): with (batch, length, "
        "d_model) it would slide along the features and mix positions.",
    ),
    Misconception(
        "reshaped",
        convolving(lambda x: x.reshape(x.size(0), x.size(2), x.size(1)), lambda y, x: y.reshape(x.shape)),
        "`view` and `reshape` keep the numbers in their order and only cut them anew, so features of different "
        "positions land in one channel. To exchange two axes takes `transpose(1, 2)`.",
    ),
    Misconception(
        "reshaped at the end",
        convolving(turned, lambda y, x: y.reshape(x.shape)),
        "On the way back you reshape: that cuts (batch, d_model, length) anew without exchanging the axes. "
        "`transpose(1, 2)` again.",
    ),
    Misconception(
        "not turned back",
        convolving(turned, as_it_is),
        "Your result is still (batch, d_model, length): exchange the axes again at the end.",
    ),
    Misconception(
        "no ReLU",
        with_formula(lambda c, w, b, v, d: F.conv1d(F.conv1d(c, w, b), v, d)),
        "The max(0, …) between the two convolutions is missing.",
    ),
    Misconception(
        "ReLU at the end",
        with_formula(lambda c, w, b, v, d: F.conv1d(F.conv1d(c, w, b), v, d).relu()),
        "The ReLU belongs between the two convolutions, not behind them.",
    ),
    Misconception(
        "no biases",
        with_formula(lambda c, w, b, v, d: F.conv1d(F.conv1d(c, w).relu(), v)),
        "The biases are missing: `conv1d(x, weight, bias)` takes them as third.",
    ),
    Misconception(
        "no inner bias",
        with_formula(lambda c, w, b, v, d: F.conv1d(F.conv1d(c, w).relu(), v, d)),
        "The inner bias is missing: `conv1d(x, weight, bias)` takes it as third.",
    ),
    Misconception(
        "padded",
        convolving(turned, turned_back, padding=1),
        "`padding=1` belongs to a width of 3. A window of width 1 fits at every position: there is nothing to pad, and "
        "with it the sentence grows by two.",
    ),
    Misconception(
        "first and last axis exchanged",
        convolving(lambda x: x.transpose(0, 2), lambda y, x: y.transpose(0, 2)),
        "You exchange the batch with the features. The batch stays first; positions and features change places: "
        "`transpose(1, 2)`.",
    ),
)
