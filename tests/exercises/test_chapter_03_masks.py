"""Chapter 03, masks, from outside: plausible wrong answers that no misconception was written for,
and unusual right ones.

Each wrong answer comes with words that its explanation must contain, or None where a plain "not the expected numbers"
is all that is asked of the check.
"""

import math

import torch

from utils.exercises import examine, exercise

root = math.sqrt


def weigh(query, key):
    return (query @ key.transpose(-2, -1) / root(query.size(-1))).softmax(-1)


# 3.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def ones(length, device=None):
    return torch.ones(length, length, dtype=torch.bool, device=device)


WRONG_3_3 = {
    "list": (lambda length, device=None: ones(length).tril().tolist(), "Tensor"),
    "bytes": (lambda length, device=None: ones(length, device).tril()[None, None].byte(), "bool"),
    "one axis in front": (lambda length, device=None: ones(length, device).tril().unsqueeze(0), "one axis"),
    "upper triangle, on the CPU": (lambda length, device=None: ones(length).triu()[None, None], "lower triangle"),
    "on the CPU": (lambda length, device=None: compared(length), "device"),
    "axes at the end": (lambda length, device=None: ones(length, device).tril()[..., None, None], "shape"),
    "axes around": (lambda length, device=None: ones(length, device).tril()[:, None, None], "shape"),
    "one too long": (lambda length, device=None: ones(length + 1, device).tril()[None, None], "shape"),
    "diagonal alone": (
        lambda length, device=None: torch.eye(length, dtype=torch.bool, device=device)[None, None],
        None,
    ),
    "other diagonal": (lambda length, device=None: ones(length, device).tril().flip(-1)[None, None], None),
    "window of two": (
        lambda length, device=None: (ones(length, device).tril() & ones(length, device).triu(-1))[None, None],
        None,
    ),
    "length 3 in mind": (lambda length, device=None: ones(3, device).tril()[None, None], "shape"),
    "first column": (
        lambda length, device=None: (torch.arange(length, device=device) == 0).expand(length, length)[None, None],
        None,
    ),
    "no device": (lambda length: ones(length).tril()[None, None], "device"),
    "no return": (lambda length, device=None: None, "return"),
    "two sentences": (lambda length, device=None: ones(length, device).tril().expand(2, 1, length, length), "shape"),
    "words": (lambda length, device=None: "causal", "Tensor"),
    "minus 1e9": (lambda length, device=None: ((~ones(length, device).tril()) * -1e9)[None, None], "bool"),
    "upside down": (lambda length, device=None: ones(length, device).tril().flip(-2)[None, None], None),
    "off by one at the end": (
        lambda length, device=None: torch.cat([ones(length, device).tril()[:-1], ~ones(length, device)[:1]])[
            None, None
        ],
        None,
    ),
    "raises": (lambda length, device=None: ones(length, device).tril(length, length), "TypeError"),
}


def compared(length, device=None):
    position = torch.arange(length, device=device)
    return (position[None] <= position[:, None])[None, None]


def loop_3_3(length, device=None):
    rows = [[column <= row for column in range(length)] for row in range(length)]
    return torch.tensor(rows, dtype=torch.bool, device=device).reshape(1, 1, length, length)


RIGHT_3_3 = {
    "compared": compared,
    "loop": loop_3_3,
    "inverted triu": lambda length, device=None: ~torch.triu(ones(length, device), diagonal=1)[None, None],
    "from numbers": lambda length, device=None: torch.tril(torch.ones(1, 1, length, length, device=device)) > 0,
    "summed up": lambda n, device=None: torch.eye(n, device=device).cumsum(0).bool().unsqueeze(0).unsqueeze(0),
    "extra keyword": lambda length, device=None, dtype=torch.bool: compared(length, device).to(dtype),
}


# 3.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def reference(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / root(query.size(-1))
    if mask is None:
        return scores.softmax(-1) @ value, scores.softmax(-1)
    nothing = ~mask.any(-1, keepdim=True)
    weights = scores.masked_fill(~mask, -math.inf).masked_fill(nothing, 0).softmax(-1).masked_fill(nothing, 0)
    return weights @ value, weights


def changes_mask(query, key, value, mask=None):
    if mask is not None and mask.dim() == 2:
        hidden = mask.logical_not_()
        return reference(query, key, value, ~hidden)
    return reference(query, key, value, mask)


def needs_mask(query, key, value, mask=None):
    scores = (query @ key.mT / root(query.size(-1))).masked_fill(~mask, -math.inf)
    return scores.softmax(-1) @ value, scores.softmax(-1)


def masks_values(query, key, value, mask=None):
    weights = weigh(query, key)
    return (weights if mask is None else weights * mask) @ value, weights


def zero_times_infinity(query, key, value, mask=None):
    scores = query @ key.mT / root(query.size(-1))
    scores = scores if mask is None else scores + (1 - mask.to(scores.dtype)) * -math.inf
    return scores.softmax(-1) @ value, scores.softmax(-1)


def output_zeroed_only(query, key, value, mask=None):
    output, weights = reference(query, key, value, mask)
    if mask is not None:
        empty = ~mask.any(-1, keepdim=True)
        weights = torch.where(empty, torch.full_like(weights, 1 / weights.size(-1)), weights)
    return output, weights


def always_causal(query, key, value, mask=None):
    return reference(query, key, value, torch.ones(query.size(-2), key.size(-2), dtype=torch.bool).tril())


def first_key_for_empty(query, key, value, mask=None):
    if mask is None:
        return reference(query, key, value)
    mask = mask.clone().expand(*query.shape[:-1], key.size(-2)).clone()
    mask[..., 0] |= ~mask.any(-1)
    return reference(query, key, value, mask)


def masks_after_division(query, key, value, mask=None):
    output, weights = reference(query, key, value, mask)
    return output if mask is None else output.masked_fill(~mask.any(-1, keepdim=True), 1.0), weights


def over_queries(query, key, value, mask=None):
    scores = query @ key.mT / root(query.size(-1))
    scores = scores if mask is None else scores.masked_fill(~mask, -1e9)
    return scores.softmax(-2) @ value, scores.softmax(-2)


def refuses_empty(query, key, value, mask=None):
    if mask is not None and not mask.any(-1).all():
        raise ValueError("a query may attend to nothing")
    return reference(query, key, value, mask)


def nan_set_in_place(query, key, value, mask=None):
    weights = query @ key.mT / root(query.size(-1))
    weights = weights.softmax(-1) if mask is None else weights.masked_fill(~mask, -math.inf).softmax(-1)
    weights[torch.isnan(weights)] = 0
    return weights @ value, weights


def if_mask(query, key, value, mask=None):
    return reference(query, key, value, mask if mask else None)


WRONG_3_4 = {
    "NaN set to zero in place": (nan_set_in_place, "gradient"),
    "if mask": (if_mask, "is not None"),
    "changes mask": (changes_mask, "`mask`"),
    "needs mask": (needs_mask, "NaN"),
    "no mask parameter": (lambda query, key, value: reference(query, key, value), "mask=None"),
    "masks values": (masks_values, None),
    "zero times infinity": (zero_times_infinity, "NaN"),
    "weights of empty rows left": (output_zeroed_only, "a query may attend to nothing"),
    "always causal": (always_causal, None),
    "first key for empty rows": (first_key_for_empty, "a query may attend to nothing"),
    "ones for empty rows": (masks_after_division, "a query may attend to nothing"),
    "over queries": (over_queries, None),
    "refuses empty rows": (refuses_empty, "a query may attend to nothing"),
    "order": (lambda q, k, v, mask=None: reference(q, k, v, mask)[::-1], "wrong order"),
    "float64": (lambda q, k, v, mask=None: tuple(p.double() for p in reference(q, k, v, mask)), "float64"),
    "output alone": (lambda q, k, v, mask=None: reference(q, k, v, mask)[0], "tuple of 2"),
    "mask transposed": (
        lambda q, k, v, mask=None: reference(q, k, v, None if mask is None else mask.mT),
        "RuntimeError",
    ),
    "first mask for all": (
        lambda q, k, v, mask=None: reference(q, k, v, mask[:1] if mask is not None and mask.dim() > 2 else mask),
        None,
    ),
    "consistently inverted": (lambda q, k, v, mask=None: reference(q, k, v, None if mask is None else ~mask), "True"),
    "inverted, rows as asked": (
        lambda q, k, v, mask=None: (
            reference(q, k, v)
            if mask is None
            else (lambda w: (w @ v, w))(
                (q @ k.mT / root(q.size(-1)))
                .masked_fill(mask, -math.inf)
                .masked_fill(~mask.any(-1, keepdim=True), 0)
                .softmax(-1)
                .masked_fill(~mask.any(-1, keepdim=True), 0)
            )
        ),
        "True",
    ),
    "half the scale": (lambda q, k, v, mask=None: reference(q / 2, k, v, mask), None),
    "detached": (lambda q, k, v, mask=None: reference(q.detach(), k, v, mask), "`query`"),
    "NumPy mask": (lambda q, k, v, mask=None: reference(q, k, v, mask.numpy()), "TypeError"),
    "None": (lambda q, k, v, mask=None: None, "return"),
    "unwritten": (lambda q, k, v, mask=None: (_ for _ in ()).throw(NotImplementedError("Exercise 3.4")), "Not written"),
}


def by_exponentials_3_4(query, key, value, mask=None):
    scores = torch.einsum("...td,...sd->...ts", query, key) / query.size(-1) ** 0.5
    allowed = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask.expand_as(scores)
    lowest = torch.finfo(scores.dtype).min
    largest = torch.where(allowed, scores, lowest).amax(-1, keepdim=True).clamp(min=lowest / 4)
    exponentials = torch.where(allowed, (scores - largest).clamp(max=0).exp(), 0.0)
    weights = exponentials / exponentials.sum(-1, keepdim=True).clamp(min=1e-30)
    return weights @ value, weights


def additive(query, key, value, mask=None, dropout=0.0):
    scores = query @ key.mT / root(query.size(-1))
    if mask is None:
        return scores.softmax(-1) @ value, scores.softmax(-1)
    seen = mask | ~mask.any(-1, keepdim=True)
    bias = torch.zeros(seen.shape, dtype=scores.dtype).masked_fill(~seen, -math.inf)
    weights = (scores + bias).softmax(-1) * mask.any(-1, keepdim=True)
    return weights @ value, weights


def rows_3_4(query, key, value, mask=None):
    shape = (*query.shape[:-1], key.size(-2))
    mask = torch.ones(shape, dtype=torch.bool) if mask is None else mask.expand(shape)
    if query.dim() > 2:
        pairs = [rows_3_4(*parts) for parts in zip(query, key, value, mask, strict=True)]
        return torch.stack([o for o, _ in pairs]), torch.stack([w for _, w in pairs])
    rows = []
    for q, seen in zip(query, mask, strict=True):
        row = torch.zeros(len(key), dtype=query.dtype)
        if seen.any():
            row = row.index_put((seen.nonzero()[:, 0],), (key[seen] @ q / root(len(q))).softmax(0))
        rows.append(row)
    weights = torch.stack(rows)
    return weights @ value, weights


def without_nan(query, key, value, mask=None):
    scores = query @ key.mT / root(query.size(-1))
    weights = scores.softmax(-1) if mask is None else scores.masked_fill(~mask, -math.inf).softmax(-1).nan_to_num(0.0)
    return weights @ value, weights  # the gradient is finite, since masked_fill stops it where the softmax made NaN


RIGHT_3_4 = {
    "NaN replaced": without_nan,
    "exponentials": by_exponentials_3_4,
    "additive": additive,
    "row by row": rows_3_4,
    "where": lambda q, k, v, mask=None: reference(q, k, v, mask if mask is None else torch.where(mask, True, False)),
    "float64 inside": lambda q, k, v, mask=None: tuple(
        part.to(q.dtype) for part in reference(q.double(), k.double(), v.double(), mask)
    ),
    "minus 1e9 and empty rows": lambda q, k, v, mask=None: (
        lambda s: (lambda w: (w @ v, w))(
            s.softmax(-1) if mask is None else s.masked_fill(~mask, -1e9).softmax(-1) * mask.any(-1, keepdim=True)
        )
    )(q @ k.mT / root(q.size(-1))),
}


WRONG = {"3.3": WRONG_3_3, "3.4": WRONG_3_4}
RIGHT = {"3.3": RIGHT_3_3, "3.4": RIGHT_3_4}


def test_the_case_shown_is_an_ordinary_one():
    def zero_filled(query, key, value, mask=None):
        scores = query @ key.mT / root(query.size(-1))
        weights = (scores if mask is None else scores.masked_fill(~mask, 0.0)).softmax(-1)
        return weights @ value, weights

    def masked_late(query, key, value, mask=None):
        weights = weigh(query, key)
        weights = weights if mask is None else weights.masked_fill(~mask, 0.0)
        return weights @ value, weights

    for answer in (
        lambda query, key, value, mask=None: reference(query, key, value),
        zero_filled,
        masked_late,
        if_mask,
    ):
        for seed in range(4):
            assert examine(exercise("3.4"), answer, seed).smallest.case == "two queries, three keys"


def test_a_triangle_that_is_wrong_everywhere_is_told_so_without_ifs():
    report = examine(exercise("3.3"), lambda length, device=None: ones(length).triu()[None, None], 0)
    assert report.explanation.startswith("Your mask lets")


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
