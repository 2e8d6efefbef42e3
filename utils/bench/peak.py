"""How fast the machine multiplies matrices, and how much multiplying a training step needs."""

import torch

from utils.bench.setup import cpu_seconds
from utils.transformer import TransformerConfig

FORMULA = (
    "FLOPs of a step = 3 · forward (each product costs two more in the backward pass); forward = "
    "N · [2BS(4d² + 2d·d_ff) + 4BS²d] in the encoder + N · [2BT(6d² + 2d·d_ff) + 4BSd² + 4BT²d + 4BSTd] in the decoder "
    "+ 2ndV in the output layer; B sentences of S and T positions, n real target tokens, d = d_model"
)


def forward_flops(config: TransformerConfig, batch: int, source_len: int, target_len: int, target_tokens: int) -> int:
    """FLOPs of the matrix products of one forward pass; a multiplication and an addition count two.

    The terms: projections and feed-forward of the encoder, its scores and weighted sums; in the decoder 4d² for
    self-attention and 2d² for queries and output of cross-attention, whose keys and values are 4BSd².
    """
    d, layers = config.d_model, config.layers
    feed_forward = 2 * d * config.d_ff
    source, target = batch * source_len, batch * target_len
    encoder = 2 * source * (4 * d * d + feed_forward) + 4 * source * source_len * d
    decoder = (
        2 * target * (6 * d * d + feed_forward)
        + 4 * source * d * d
        + 4 * target * target_len * d
        + 4 * target * source_len * d
    )
    return layers * (encoder + decoder) + 2 * target_tokens * d * config.vocab_size


def step_flops(config: TransformerConfig, batch: int, source_len: int, target_len: int, target_tokens: int) -> int:
    """FLOPs of the matrix products of forward and backward pass."""
    return 3 * forward_flops(config, batch, source_len, target_len, target_tokens)


def matrix_peak(widths: tuple[int, ...] = (256, 512, 1024, 1536, 2048), repeats: int = 6) -> dict:
    """The largest FLOP/s that float32 products of square matrices reach here, on the threads that are set."""
    best = {}
    for width in widths:
        left, right = torch.randn(width, width), torch.randn(width, width)
        out = torch.empty(width, width)
        times = max(1, (1024 // width) ** 3)  # so many products that the clock has something to measure

        def multiply(left=left, right=right, out=out, times=times) -> None:
            for _ in range(times):
                torch.mm(left, right, out=out)

        multiply()
        best[width] = 2 * width**3 * times / min(cpu_seconds(multiply) for _ in range(repeats))
    width = max(best, key=best.get)
    return {"gflops": best[width] / 1e9, "width": width, "by_width": {str(w): f / 1e9 for w, f in best.items()}}
