"""What chapter 00 asks for: a softmax written out. The model itself calls torch's, which gives the same numbers."""

from torch import Tensor


def softmax(scores: Tensor) -> Tensor:
    """exp(s_i) / Σ_j exp(s_j) over the last axis, as Eq. 1 uses it (§3.2.1).

    scores: (..., n). Returns weights of the same shape: positive, with sum one along the last axis.
    """
    largest = scores.amax(dim=-1, keepdim=True)  # (..., 1)
    exponentials = (scores - largest).exp()  # (..., n), none above 1
    return exponentials / exponentials.sum(dim=-1, keepdim=True)
