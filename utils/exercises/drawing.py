"""Inputs for cases, drawn from a generator, so that a seed gives the same ones everywhere."""

import torch
from torch import Generator, Tensor


def normal(generator: Generator, *shape: int, dtype: torch.dtype = torch.float32, size: float = 1.0) -> Tensor:
    """Normally distributed numbers of standard deviation `size`."""
    return (size * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype)


def scattered(generator: Generator, *shape: int, size: float = 1.0) -> Tensor:
    """The same, but not lying in memory in the order of its axes: as `transpose` leaves a tensor."""
    return normal(generator, *shape[:-2], shape[-1], shape[-2], size=size).mT


def attention_inputs(
    generator: Generator, batch: tuple[int, ...], target_len: int, source_len: int, d_k: int, d_v: int,
    dtype: torch.dtype = torch.float32, size: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """query (*batch, target_len, d_k), key (*batch, source_len, d_k), value (*batch, source_len, d_v)."""
    query = normal(generator, *batch, target_len, d_k, dtype=dtype, size=size)
    key = normal(generator, *batch, source_len, d_k, dtype=dtype, size=size)
    return query, key, normal(generator, *batch, source_len, d_v, dtype=dtype)


def some_allowed(generator: Generator, *shape: int) -> Tensor:
    """A random mask in whose every row something is allowed and, where there are two keys or more, something not.
    Of three keys or more at least two are allowed: the only one would get the weight 1 from any softmax.
    """
    drawn = torch.rand(*shape, generator=generator)
    mask = drawn > 0.4
    mask.scatter_(-1, drawn.argmin(dim=-1, keepdim=True), False)
    return mask.scatter_(-1, drawn.topk(2 if shape[-1] > 2 else 1, dim=-1).indices, True)


def lower_triangle(length: int) -> Tensor:
    """True where a query may look: at itself and at what stands before it. bool (length, length)."""
    return torch.ones(length, length, dtype=torch.bool).tril()


def permutation(generator: Generator, length: int) -> Tensor:
    """A random order of `length` things that is not the given one."""
    order = torch.randperm(length, generator=generator)
    return order if bool((order != torch.arange(length)).any()) else order.roll(1)
