"""Chapter 02, learned and rotary positions and the test for equivariance, from outside: plausible wrong answers that no
misconception was written for, and unusual right ones.

Each wrong answer comes with words that its explanation must contain, or None where a plain "not the expected numbers"
is all that is asked of the check.
"""

import pytest
import torch
from torch import nn

from utils.errors import ShapeError
from utils.exercises import examine, exercise
from utils.exercises.chapter_02.references import is_equivariant, rotate, shift_matrix
from utils.transformer import LearnedPositions, SinusoidalPositions

# 2.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def built(forward, make=lambda d_model, max_len: torch.randn(max_len, d_model) / d_model**0.5):
    """A module with a table and another forward(self, embedded, start)."""

    class Positions(nn.Module):
        def __init__(self, d_model, max_len=256):
            super().__init__()
            self.d_model = d_model
            self.table = nn.Parameter(make(d_model, max_len))

    Positions.forward = forward
    return Positions


def changes_input(self, embedded, start=0):
    embedded += self.table[start : start + embedded.size(1)]
    return embedded


def by_sentence(self, embedded, start=0):
    return embedded + self.table[start : start + embedded.size(0)][:, None]


def no_start(self, embedded):
    return embedded + self.table[: embedded.size(1)]


def in_training_only(self, embedded, start=0):
    return embedded + self.table[start : start + embedded.size(1)] if self.training else embedded


class Drops(nn.Module):
    def __init__(self, d_model, max_len=256):
        super().__init__()
        self.table, self.dropout = nn.Parameter(torch.randn(max_len, d_model)), nn.Dropout(0.5)

    def forward(self, embedded, start=0):
        return self.dropout(embedded + self.table[start : start + embedded.size(1)])


class ExtraLinear(nn.Module):
    def __init__(self, d_model, max_len=256):
        super().__init__()
        self.table, self.linear = nn.Parameter(torch.randn(max_len, d_model)), nn.Linear(d_model, d_model)

    def forward(self, embedded, start=0):
        return self.linear(embedded + self.table[start : start + embedded.size(1)])


class PlainTensor(nn.Module):
    def __init__(self, d_model, max_len=256):
        super().__init__()
        self.table = torch.randn(max_len, d_model)

    def forward(self, embedded, start=0):
        return embedded + self.table[start : start + embedded.size(1)]


class FixedLength(nn.Module):
    def __init__(self, d_model, max_len=256):
        super().__init__()
        self.table = nn.Parameter(torch.randn(256, d_model))

    def forward(self, embedded, start=0):
        return embedded + self.table[start : start + embedded.size(1)]


class NoModule:
    def __init__(self, d_model, max_len=256):
        self.table = torch.randn(max_len, d_model)


def last_row_refused(self, embedded, start=0):
    end = start + embedded.size(1)
    if end >= len(self.table):
        raise ShapeError("too long")
    return embedded + self.table[start:end]


def rows(self, embedded, start=0):
    return self.table[start : start + embedded.size(1)]


WRONG_2_5 = {
    "changes its input": (built(changes_input), "`embedded`"),
    "one row for each sentence": (built(by_sentence), None),
    "no start": (built(no_start), "start"),
    "in training only": (built(in_training_only), "evaluation mode"),
    "dropout inside": (Drops, "training mode"),
    "another layer inside": (ExtraLinear, "linear.weight"),
    "a plain tensor": (PlainTensor, "nn.Parameter"),
    "max_len ignored": (FixedLength, "(256, 4)"),
    "no module": (NoModule, "nn.Module"),
    "one number a position": (built(no_start, lambda d, n: torch.randn(n)), "start"),
    "a scalar a position": (
        built(lambda self, x, start=0: x + self.table[start : start + x.size(1), None], lambda d, n: torch.randn(n)),
        "parameters",
    ),
    "sinusoids": (SinusoidalPositions, "table"),
    "subtracted": (built(lambda self, x, start=0: x - rows(self, x, start)), None),
    "start added to the numbers": (
        built(lambda self, x, start=0: x + self.table[: x.size(1)] + start), "start"),
    "the whole table": (built(lambda self, x, start=0: x + self.table), "RuntimeError"),
    "concatenated": (
        built(lambda self, x, start=0: torch.cat([x, rows(self, x, start).expand_as(x)], -1)), "shape"),
    "mean of both": (built(lambda self, x, start=0: (x + rows(self, x, start)) / 2), "0.5 times"),
    "from the end of the table": (
        built(lambda self, x, start=0: x + self.table[len(self.table) - x.size(1) :]), None),
    "one row short": (built(lambda self, x, start=0: x + self.table[start : start + x.size(1) - 1]), "RuntimeError"),
    "gradient of the input cut": (built(lambda self, x, start=0: x.detach() + rows(self, x, start)), "`embedded`"),
    "float64": (built(lambda self, x, start=0: (x + rows(self, x, start)).double()), "float64"),
    "with the table": (built(lambda self, x, start=0: (x + rows(self, x, start), self.table)), "tuple"),
    "no return": (built(lambda self, x, start=0: None), "return"),
    "begins with zeros": (
        built(lambda self, x, start=0: x + rows(self, x, start), lambda d, n: torch.zeros(n, d)), "N(0, 1/d_model)"),
    "begins with N(0, 1)": (
        built(lambda self, x, start=0: x + rows(self, x, start), lambda d, n: torch.randn(n, d)), "N(0, 1/d_model)"),
    "begins between 0 and 1": (
        built(lambda self, x, start=0: x + rows(self, x, start), lambda d, n: torch.rand(n, d)), "around zero"),
    "the last row refused": (built(last_row_refused), "last row"),
    "normed": (
        built(lambda self, x, start=0: nn.functional.layer_norm(x + rows(self, x, start), (x.size(-1),))), None),
}  # fmt: skip


class ByEmbedding(nn.Module):
    def __init__(self, d_model, max_len=256):
        super().__init__()
        self.positions = nn.Embedding(max_len, d_model)
        nn.init.normal_(self.positions.weight, std=d_model**-0.5)

    def forward(self, embedded, start=0):
        return embedded + self.positions(torch.arange(start, start + embedded.size(1)))


class Subclassed(LearnedPositions):
    def __init__(self, d_model, max_len=256, scale=1.0):
        super().__init__(d_model, max_len)
        self.scale = scale


class Turned(nn.Module):
    def __init__(self, d_model, max_len=256):
        super().__init__()
        self.columns = nn.Parameter(torch.randn(d_model, max_len) / d_model**0.5)

    def forward(self, embedded, start=0):
        return embedded + self.columns.t()[start : start + embedded.size(1)]


class Narrowed(nn.Module):
    def __init__(self, d_model, max_len=256):
        super().__init__()
        self.register_parameter("w", nn.Parameter(torch.empty(max_len, d_model)))
        nn.init.normal_(self.w, std=d_model**-0.5)

    def forward(self, embedded, start=0):
        return torch.stack([sentence + self.w.narrow(0, start, embedded.size(1)) for sentence in embedded])


RIGHT_2_5 = {
    "nn.Embedding": ByEmbedding,
    "subclass with a keyword": Subclassed,
    "table turned over": Turned,
    "sentence by sentence": Narrowed,
    "gather": built(
        lambda self, x, start=0: x + self.table[torch.arange(x.size(1)) + start].expand(x.size(0), -1, -1)),
    "one-hot product": built(
        lambda self, x, start=0: x + nn.functional.one_hot(
            torch.arange(start, start + x.size(1)), len(self.table)).float() @ self.table),
    "drawn evenly": built(
        lambda self, x, start=0: x + rows(self, x, start), lambda d, n: (torch.rand(n, d) - 0.5) * (12 / d) ** 0.5),
}  # fmt: skip


# 2.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def angles(x, start=0, base=10000.0):
    d_k = x.size(-1)
    position = torch.arange(start, start + x.size(-2)).double()[:, None]
    return position / base ** (torch.arange(0, d_k, 2).double() / d_k)


def by_complex(x, start=0, turn=None):
    pairs = torch.view_as_complex(x.double().reshape(*x.shape[:-1], -1, 2))
    phase = angles(x, start) if turn is None else turn(angles(x, start))
    return torch.view_as_real(pairs * torch.exp(1j * phase)).flatten(-2).to(x.dtype)


def from_the_batch(x, start=0):
    return by_complex(x.transpose(0, 2), start).transpose(0, 2)


def changes_x(x, start=0):
    x.copy_(by_complex(x, start))
    return x


def overwritten(x, start=0):
    sine, cosine = angles(x, start).sin().to(x), angles(x, start).cos().to(x)
    out = x.clone()
    out[..., 0::2] = x[..., 0::2] * cosine - x[..., 1::2] * sine
    out[..., 1::2] = out[..., 0::2] * sine + x[..., 1::2] * cosine
    return out


WRONG_2_6 = {
    "identity": (lambda x, start=0: x.clone(), None),
    "positions from 1": (lambda x, start=0: by_complex(x, start + 1), None),
    "start doubled": (lambda x, start=0: by_complex(x, 2 * start), None),
    "start refused": (lambda x: by_complex(x), "start"),
    "along sentences": (from_the_batch, None),
    "turned twice": (lambda x, start=0: by_complex(by_complex(x, start), start), None),
    "sine and cosine exchanged": (lambda x, start=0: by_complex(x, start, lambda a: torch.pi / 2 - a), None),
    "first half only": (
        lambda x, start=0: torch.cat([by_complex(x, start)[..., : x.size(-1) // 2], x[..., x.size(-1) // 2 :]], -1),
        None,
    ),
    "new value used too early": (overwritten, None),
    "one token's position for all": (
        lambda x, start=0: by_complex(x, start, lambda a: a[:1].expand_as(a)), None),
    "base 1000": (lambda x, start=0: by_complex(x, start, lambda a: angles(x, start, 1000.0)), None),
    "backwards from the end": (lambda x, start=0: by_complex(x, start, lambda a: a.flip(0)), None),
    "changes x": (changes_x, "`x`"),
    "float32 inside": (lambda x, start=0: by_complex(x.float(), start).to(x.dtype), "float32"),
    "float64": (lambda x, start=0: by_complex(x, start).double(), "float64"),
    "detached": (lambda x, start=0: by_complex(x, start).detach(), "gradient"),
    "pairs apart": (lambda x, start=0: by_complex(x, start).unflatten(-1, (-1, 2)), "shape"),
    "one tensor for query and key": (lambda x, start=0: (by_complex(x, start), by_complex(x, start)), "tuple"),
    "angles alone": (lambda x, start=0: angles(x, start), "shape"),
    "sign": (lambda x, start=0: -by_complex(x, start), "sign"),
    "lengths made one": (lambda x, start=0: nn.functional.normalize(by_complex(x, start), dim=-1), None),
    "added to x": (lambda x, start=0: x + by_complex(x, start), None),
    "none": (lambda x, start=0: None, "return"),
}  # fmt: skip


def in_float32(x, start=0):
    """From one's own answer to 2.4, which is float32 whatever is turned."""
    turned = [shift_matrix(-(start + p), x.size(-1)) @ x[..., p, :, None].float() for p in range(x.size(-2))]
    return torch.stack(turned, dim=-3).squeeze(-1).to(x.dtype)


def by_matrices(x, start=0):
    turned = [shift_matrix(-(start + p), x.size(-1)).to(x) @ x[..., p, :, None] for p in range(x.size(-2))]
    return torch.stack(turned, dim=-3).squeeze(-1)


def by_swapping(x, start=0):
    """x cos + swapped(x) sin with swapped(a, b) = (−b, a)."""
    sine = angles(x, start).sin().repeat_interleave(2, -1).to(x)
    cosine = angles(x, start).cos().repeat_interleave(2, -1).to(x)
    swapped = torch.stack([-x[..., 1::2], x[..., 0::2]], -1).flatten(-2)
    return x * cosine + swapped * sine


def assigned(x, start=0):
    sine, cosine = angles(x, start).sin().to(x), angles(x, start).cos().to(x)
    out = torch.empty_like(x)
    out[..., 0::2] = x[..., 0::2] * cosine - x[..., 1::2] * sine
    out[..., 1::2] = x[..., 0::2] * sine + x[..., 1::2] * cosine
    return out


def token_by_token(x, start=0):
    return torch.cat([by_complex(x[..., p : p + 1, :], start + p) for p in range(x.size(-2))], -2)


RIGHT_2_6 = {
    "complex numbers": by_complex,
    "swapped": by_swapping,
    "assigned": assigned,
    "token by token": token_by_token,
    "einsum": lambda x, start=0: torch.einsum(
        "bhlpi,lpij->bhlpj", x.unflatten(-1, (-1, 2)), torch.stack(
            [torch.stack([angles(x, start).cos(), angles(x, start).sin()], -1),
             torch.stack([-angles(x, start).sin(), angles(x, start).cos()], -1)], -2).to(x)).flatten(-2),
    "extra keyword": lambda x, start=0, base=10000.0: by_complex(x, start),
    "the reference from position 0": lambda x, start=0: rotate(
        torch.cat([x.new_zeros(*x.shape[:2], start, x.size(-1)), x], 2))[:, :, start:],
}  # fmt: skip


# 2.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def near(one, other):
    return one.shape == other.shape and torch.allclose(one, other, atol=1e-5)


WRONG_2_7 = {
    "always True": (lambda f, x, order: True, "of everything"),
    "always False": (lambda f, x, order: False, "of everything"),
    "by type": (lambda f, x, order: isinstance(f, nn.Linear | nn.TransformerEncoderLayer | nn.Softmax), None),
    "dimensions reordered": (lambda f, x, order: near(f(x[..., order]), f(x)[..., order]), None),
    "input not reordered": (lambda f, x, order: near(f(x), f(x)[:, order]), None),
    "output not called anew": (lambda f, x, order: near(f(x)[:, order], f(x)[:, order]), "of everything"),
    "too generous": (lambda f, x, order: torch.allclose(f(x[:, order]), f(x)[:, order], atol=0.1), "tolerance"),
    "nothing generous": (lambda f, x, order: torch.allclose(f(x[:, order]), f(x)[:, order], rtol=0, atol=1e-30), None),
    "first sentence, first position": (
        lambda f, x, order: near(f(x[:, order])[0, 0], f(x)[0, order[0]]), "by chance: compare all of them"),
    "first sentence": (lambda f, x, order: near(f(x[:, order])[0], f(x)[0, order]), "first sentence alone"),
    "first sentence, two positions": (
        lambda f, x, order: near(f(x[:, order])[0, :2], f(x)[0, order[:2]]), None),
    "not equal is True": (lambda f, x, order: not is_equivariant(f, x, order), None),
    "a list": (lambda f, x, order: [is_equivariant(f, x, order)], "is a list"),
    "words": (lambda f, x, order: str(is_equivariant(f, x, order)), "str"),
    "a tensor of truth values": (lambda f, x, order: (f(x[:, order]) - f(x)[:, order]).abs() < 1e-5, "Tensor"),
    "the difference": (lambda f, x, order: (f(x[:, order]) - f(x)[:, order]).abs().max(), None),
    "raises where it fails": (
        lambda f, x, order: torch.testing.assert_close(f(x[:, order]), f(x)[:, order]) is None, "AssertionError"),
    "changes x": (lambda f, x, order: near(f(x.copy_(x[:, order])), f(x)), "`x`"),
    "no return": (lambda f, x, order: print(is_equivariant(f, x, order)), "return"),
    "other parameters": (lambda f, x: True, "order"),
    "means of positions": (lambda f, x, order: near(f(x[:, order]).mean(1), f(x).mean(1)), "sums"),
    "the reverse order as well": (
        lambda f, x, order: near(f(x[:, order]), f(x)[:, order]) and near(f(x.flip(1)), f(x).flip(1)), None),
    "only its own order": (lambda f, x, order: near(f(x.flip(1)), f(x).flip(0)), None),
}  # fmt: skip


def by_matrix(function, x, order):
    permutation = torch.eye(len(order))[order]
    return bool(((function(permutation @ x) - permutation @ function(x)).abs() < 1e-5).all())


def back_again(function, x, order):
    return torch.allclose(function(x[:, order])[:, order.argsort()], function(x), atol=1e-5)


def position_by_position(function, x, order):
    before, after = function(x[:, order]), function(x)
    return all(torch.allclose(before[:, new], after[:, old], atol=1e-5) for new, old in enumerate(order.tolist()))


class Asking(nn.Module):
    def forward(self, function, x, order):
        return is_equivariant(function, x, order)


RIGHT_2_7 = {
    "by a matrix": by_matrix,
    "reordered back": back_again,
    "position by position": position_by_position,
    "index_select": lambda f, x, order: near(f(x.index_select(1, order)), f(x).index_select(1, order)),
    "a tensor of one truth value": lambda f, x, order: ((f(x[:, order]) - f(x)[:, order]).abs().max() < 1e-5),
    "a module": Asking(),
    "in float64": lambda f, x, order: near(f(x[:, order]).double(), f(x).double()[:, order]),
}  # fmt: skip


WRONG = {"2.5": WRONG_2_5, "2.6": WRONG_2_6, "2.7": WRONG_2_7}
RIGHT = {"2.5": RIGHT_2_5, "2.6": RIGHT_2_6, "2.7": RIGHT_2_7}


def test_only_who_says_true_of_everything_is_told_so():
    """Whoever is right in all cases but one cannot have compared something with itself."""

    def nearly(function, x, order):
        return is_equivariant(function, x, order) or len(x) == x.size(1) > 1

    report = examine(exercise("2.7"), nearly, 0)
    assert not report.passed and "of everything" not in report.explanation
    assert "as many sentences as positions" in report.explanation


@pytest.mark.parametrize("seed", range(3))
def test_a_rotation_made_of_float32_matrices_loses_its_edge_cases_only(seed):
    report = examine(exercise("2.6"), in_float32, seed)
    assert not report.passed and report.points >= 1


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
