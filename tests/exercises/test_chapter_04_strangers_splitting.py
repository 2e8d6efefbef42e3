"""Chapter 04, splitting and joining: more answers of strangers, wrong ones in ways that the cases might have overlooked
(sizes, memory, kinds of numbers) and right ones written otherwise.

Each wrong answer comes with words that its report must contain, or None where a plain "not the expected numbers" is all
that is asked of the check.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

# 4.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def split(joined, heads):
    return joined.unflatten(-1, (heads, -1)).transpose(1, 2)


def strided_over(joined, heads):
    """Takes the tensor to lie in one piece."""
    batch, length, total = joined.shape
    width = total // heads
    return joined.as_strided((batch, heads, length, width), (length * total, width, total, 1))


def from_the_storage(joined, heads):
    """Reads the numbers in the order of memory, whatever the strides say."""
    flat = joined.as_strided((joined.numel(),), (1,)).view(joined.shape)
    return split(flat, heads)


def square_in_mind(joined, heads):
    """Reads (length, batch, …)."""
    length, batch, total = joined.shape
    return joined.reshape(batch, length, heads, total // heads).transpose(1, 2)


def last_head_wider(joined, heads):
    parts = [joined[..., i : i + joined.size(-1) // heads] for i in range(heads)]
    return torch.stack(parts, 1)


def empty_filled(joined, heads):
    result = torch.empty(joined.size(0), heads, joined.size(1), joined.size(-1) // heads)
    for i, part in enumerate(joined.chunk(heads, -1)):
        result[:, i] = part
    return result


def zeros_filled(joined, heads):
    width = joined.size(-1) // heads
    result = joined.new_zeros(joined.size(0), heads, joined.size(1), width)
    for i in range(heads):
        for j in range(1, joined.size(1)):
            result[:, i, j] = joined[:, j, i * width : (i + 1) * width]
    return result


split_before = {}


def kept_by_shape(joined, heads):
    return split_before.setdefault((joined.shape, heads), split(joined, heads))


remembered = []


def first_heads_kept(joined, heads):
    """The number of heads of the first call serves all later ones."""
    remembered.append(heads)
    return split(joined, remembered[0])


def squeezed(joined, heads):
    return split(joined, heads).squeeze(1)


def unsplit_single(joined, heads):
    return joined if heads == 1 else split(joined, heads)


def transposed_in_place(joined, heads):
    return joined.unsqueeze_(2).view(*joined.shape[:2], heads, -1).transpose(1, 2)


WRONG_4_2 = {
    "strides by hand": (strided_over, "one piece"),
    "memory for numbers": (from_the_storage, "one piece"),
    "length before batch": (square_in_mind, None),
    "steps of one": (last_head_wider, None),
    "filled into float32": (empty_filled, None),
    "first token left out": (zeros_filled, None),
    "kept by shape": (kept_by_shape, None),
    "heads of the first call": (first_heads_kept, None),
    "squeezed": (squeezed, "a single head"),
    "a single head as it is": (unsplit_single, "a single head"),
    "in place": (transposed_in_place, "`joined`"),
    "heads of two columns": (lambda x, h: x.unflatten(-1, (-1, 2)).transpose(1, 2), None),
    "heads of h columns, stacked": (lambda x, h: torch.stack(x.split(h, -1), 1), "`split` takes the size"),
    "heads by the length": (lambda x, h: split(x, x.size(1)), None),
    "heads by the batch": (lambda x, h: split(x, x.size(0)), None),
    "one head more": (lambda x, h: split(x, h + 1), None),
    "columns rolled by one": (lambda x, h: split(x.roll(1, -1), h), None),
    "columns backwards": (lambda x, h: split(x.flip(-1), h), None),
    "width backwards": (lambda x, h: split(x, h).flip(-1), None),
    "one token later": (lambda x, h: split(x.roll(1, 1), h), None),
    "tokens in reverse": (lambda x, h: split(x.flip(1), h), None),
    "sentences exchanged": (lambda x, h: split(x.flip(0), h), None),
    "five axes": (lambda x, h: split(x, h).unsqueeze(1), "shape"),
    "heads repeated": (lambda x, h: split(x, h).repeat(1, h, 1, 1), "shape"),
    "every column to every head": (lambda x, h: x.unsqueeze(1).repeat(1, h, 1, 1), "shape"),
    "heads last": (lambda x, h: x.unflatten(-1, (h, -1)).permute(0, 1, 3, 2), "behind the width"),
    "heads last of all, dealt out": (lambda x, h: x.unflatten(-1, (-1, h)), None),
    "tokens last": (lambda x, h: x.mT.unflatten(1, (h, -1)), "width stays last"),
    "cut along the length": (lambda x, h: torch.stack(x.tensor_split(h, 1), 1), None),
    "transpose twice": (lambda x, h: x.unflatten(-1, (h, -1)).transpose(1, 2).transpose(1, 2), "`.transpose(1, 2)`"),
    "halved": (lambda x, h: split(x / 2, h), None),
    "scaled by the width": (lambda x, h: split(x, h) / math.sqrt(x.size(-1) / h), None),
    "normalised": (lambda x, h: F.normalize(split(x.double(), h), dim=-1).to(x.dtype), None),
    "half precision": (lambda x, h: split(x.half(), h).to(x.dtype), None),
    "float32 in between": (lambda x, h: split(x.float(), h).to(x.dtype), None),
    "NumPy": (lambda x, h: split(x, h).detach().numpy(), "NumPy"),
    "nested lists": (lambda x, h: split(x, h).tolist(), "list"),
    "a shape": (lambda x, h: split(x, h).shape, None),
    "with the width": (lambda x, h: (split(x, h), x.size(-1) // h), "tuple"),
    "generator": (lambda x, h: (head for head in split(x, h).unbind(1)), "generator"),
    "a copy without a history": (lambda x, h: split(x.data.clone(), h), "gradient"),
    "a new tensor": (lambda x, h: torch.tensor(split(x, h).tolist()), None),
    "a parameter": (lambda x, h: nn.Parameter(split(x.double(), h)).to(x.dtype), None),
    "width by its name": (lambda joined, width: joined.unflatten(-1, (-1, width)).transpose(1, 2), None),
    "heads first by its name": (lambda heads, joined: split(joined, heads), "in this order"),
}


class Splitter(nn.Module):
    def forward(self, joined, heads):
        return torch.stack(torch.chunk(joined, heads, dim=2), dim=1)


def one_by_one(joined, heads):
    batch, length, total = joined.shape
    width = total // heads
    result = joined.new_empty(batch, heads, length, width)
    for head in range(heads):
        for column in range(width):
            result[:, head, :, column] = joined[:, :, head * width + column]
    return result


def gathered(joined, heads):
    batch, length, total = joined.shape
    columns = torch.arange(total, device=joined.device).view(heads, 1, -1).expand(batch, heads, length, -1)
    return joined.unsqueeze(1).expand(batch, heads, length, total).gather(-1, columns)


def by_strides(joined, heads):
    (batch, length, total), (a, b, c) = joined.shape, joined.stride()
    width = total // heads
    return joined.as_strided((batch, heads, length, width), (a, width * c, b, c), joined.storage_offset())


def by_unfold(joined, heads):
    width = joined.size(-1) // heads
    return joined.unfold(-1, width, width).movedim(2, 1)


def by_identity(joined, heads):
    """With matrices that pick columns, as W_i does."""
    pick = torch.eye(joined.size(-1), dtype=joined.dtype).unflatten(1, (heads, -1))
    return torch.einsum("bld,dhw->bhlw", joined, pick)


RIGHT_4_2 = {
    "module": Splitter(),
    "number by number": one_by_one,
    "gathered": gathered,
    "strides": by_strides,
    "unfolded": by_unfold,
    "through the transpose": lambda joined, heads: joined.mT.unflatten(1, (heads, -1)).mT,
    "einsum": lambda joined, heads: torch.einsum("blhw->bhlw", joined.unflatten(2, (heads, -1))),
    "hsplit": lambda joined, heads: torch.stack([*joined.permute(2, 0, 1).chunk(heads)]).permute(2, 0, 3, 1),
    "vmap": lambda joined, heads: torch.vmap(lambda x: x.unflatten(-1, (heads, -1)).transpose(0, 1))(joined),
    "sentence by sentence": lambda joined, heads: torch.stack(
        [sentence.reshape(len(sentence), heads, -1).swapaxes(0, 1) for sentence in joined]
    ),
    "by way of the batch": lambda joined, heads: torch.cat(joined.split(joined.size(-1) // heads, -1)).unflatten(
        0, (heads, -1)
    ).transpose(0, 1),
    "options": lambda x, heads=8, *, contiguous=True: split(x, heads).contiguous() if contiguous else split(x, heads),
    "products": lambda joined, heads: by_identity(joined.double(), heads).to(joined.dtype),
}  # fmt: skip


# 4.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def join(separate):
    return separate.transpose(1, 2).flatten(-2)


def memory_order(separate):
    """Reads the numbers in the order of memory, whatever the strides say."""
    return join(separate.as_strided((separate.numel(),), (1,)).view(separate.shape))


def strides_by_hand(separate):
    batch, heads, length, width = separate.shape
    whole = separate.as_strided((batch, length, heads, width), (heads * length * width, width, length * width, 1))
    return whole.flatten(-2)


def shape_misread(separate):
    batch, length, heads, width = separate.shape
    return separate.transpose(1, 2).reshape(batch, length, heads * width)


def in_single(separate):
    whole = torch.zeros(separate.size(0), separate.size(2), separate.size(1) * separate.size(3))
    for i in range(separate.size(1)):
        whole[..., i * separate.size(3) : (i + 1) * separate.size(3)] = separate[:, i]
    return whole


def overlapping(separate):
    whole = separate.new_zeros(separate.size(0), separate.size(2), separate.size(1) * separate.size(3))
    for i in range(separate.size(1)):
        whole[..., i : i + separate.size(3)] = separate[:, i]
    return whole


def steps_by_length(separate):
    batch, heads, length, width = separate.shape
    whole = separate.new_zeros(batch, length, heads * width)
    for i in range(heads):
        whole[:, :, i * length : i * length + width] = separate[:, i]
    return whole


joined_before = {}


def join_kept(separate):
    return joined_before.setdefault(separate.shape, join(separate))


def zeroed(separate):
    result = join(separate).clone()
    separate.zero_()
    return result


def view_where_it_goes(separate):
    try:
        return separate.transpose(1, 2).view(separate.size(0), separate.size(2), -1)
    except RuntimeError:
        return separate.reshape(separate.size(0), separate.size(2), -1)


WRONG_4_3 = {
    "memory for numbers": (memory_order, "one piece"),
    "strides by hand": (strides_by_hand, "one piece"),
    "shape misread": (shape_misread, None),
    "filled into float32": (in_single, None),
    "overlapping": (overlapping, None),
    "steps by the length": (steps_by_length, None),
    "kept by shape": (join_kept, None),
    "input emptied": (zeroed, "`separate`"),
    "view, else reshape": (view_where_it_goes, "without `transpose`"),
    "four axes": (lambda x: join(x)[:, None], "shape"),
    "squeezed": (lambda x: join(x).squeeze(), None),
    "heads behind the width": (lambda x: x.permute(0, 2, 3, 1).flatten(2), "interleave"),
    "length and batch exchanged": (lambda x: x.permute(2, 0, 1, 3).flatten(2), "shape"),
    "all in one row": (lambda x: x.transpose(1, 2).flatten(1), "shape"),
    "flattened to the end": (lambda x: x.transpose(1, 2).flatten(), "shape"),
    "merged with the batch": (lambda x: x.transpose(1, 2).flatten(0, 1), "shape"),
    "heads in the batch": (lambda x: x.flatten(0, 1), "shape"),
    "last axis alone": (lambda x: x.transpose(1, 2).reshape(x.size(0), x.size(2), x.size(3), -1).flatten(-2).mT, None),
    "tokens transposed": (lambda x: x.transpose(1, 2).flatten(-2).transpose(1, 2), "shape"),
    "first head twice": (lambda x: torch.cat([x[:, 0]] * x.size(1), -1), None),
    "last head first": (lambda x: torch.cat(x.unbind(1)[::-1], -1), None),
    "heads rolled": (lambda x: join(x.roll(1, 1)), None),
    "columns rolled": (lambda x: join(x).roll(1, -1), None),
    "tokens rolled": (lambda x: join(x.roll(1, 2)), None),
    "sentences reversed": (lambda x: join(x.flip(0)), None),
    "one head dropped": (lambda x: join(x[:, 1:]), "shape"),
    "one head only": (lambda x: x.squeeze(1), None),
    "heads multiplied": (lambda x: x.prod(1), "shape"),
    "divided by √heads": (lambda x: join(x) / math.sqrt(x.size(1)), None),
    "softmax": (lambda x: join(x.double()).softmax(-1).to(x.dtype), None),
    "joined along axis 1": (lambda x: torch.cat(list(x.unbind(1)), 1), "more tokens"),
    "stacked": (lambda x: torch.stack(list(x.unbind(1)), -1), "shape"),
    "stacked and flattened": (lambda x: torch.stack(list(x.unbind(1)), -1).flatten(-2), "interleave"),
    "half precision": (lambda x: join(x.half()).to(x.dtype), None),
    "float32 in between": (lambda x: join(x.float()).to(x.dtype), None),
    "NumPy": (lambda x: join(x).detach().numpy(), "NumPy"),
    "nested lists": (lambda x: join(x).tolist(), "list"),
    "tuple": (lambda x: (join(x),), "tuple"),
    "generator": (lambda x: (row for row in join(x)), "generator"),
    "a copy without a history": (lambda x: join(x.data), "gradient"),
    "a new tensor": (lambda x: torch.tensor(join(x).tolist()), None),
    "asks for heads": (lambda separate, heads: join(separate), "heads"),
    "named otherwise, two inputs": (lambda *, separate: join(separate), None),
}


class Joiner(nn.Module):
    def forward(self, separate):
        batch, _, length, _ = separate.size()
        return separate.transpose(1, 2).contiguous().view(batch, length, -1)


def number_by_number(separate):
    batch, heads, length, width = separate.shape
    result = separate.new_empty(batch, length, heads * width)
    for column in range(heads * width):
        result[:, :, column] = separate[:, column // width, :, column % width]
    return result


def padded_and_added(separate):
    heads, width = separate.size(1), separate.size(-1)
    return sum(F.pad(head, (i * width, (heads - 1 - i) * width)) for i, head in enumerate(separate.unbind(1)))


RIGHT_4_3 = {
    "module": Joiner(),
    "number by number": number_by_number,
    "padded and added": padded_and_added,
    "through the transpose": lambda separate: separate.mT.flatten(1, 2).mT,
    "hstack": lambda separate: torch.hstack([head.mT for head in separate.unbind(1)]).mT,
    "moved": lambda separate: torch.movedim(separate, 1, -2).reshape(*separate.shape[::2], -1),
    "selected": lambda x: torch.cat([x.select(1, i) for i in range(x.size(1))], dim=2),
    "token by token": lambda x: torch.stack([x[:, :, i].flatten(1) for i in range(x.size(2))], 1),
    "cat of a list": lambda x: torch.cat([head.squeeze(1) for head in x.split(1, dim=1)], dim=-1),
    "swapped and reshaped": lambda x: torch.reshape(
        x.swapdims(1, 2), (x.shape[0], x.shape[2], x.shape[1] * x.shape[3])
    ),
    "vmap": lambda separate: torch.vmap(lambda x: x.transpose(0, 1).flatten(1))(separate),
    "einsum into view": lambda x: torch.einsum("bhlw->blhw", x).contiguous().flatten(start_dim=2),
    "options": lambda separate, heads=None, *, copy=False: join(separate.clone() if copy else separate),
}


WRONG = {"4.2": WRONG_4_2, "4.3": WRONG_4_3}
RIGHT = {"4.2": RIGHT_4_2, "4.3": RIGHT_4_3}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
