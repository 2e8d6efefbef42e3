"""Words that several exercises of chapter 04 share."""

FUSED_KERNEL = "torch.nn.functional.scaled_dot_product_attention"
READY_MADE = ("torch.nn.MultiheadAttention", "torch.nn.functional.multi_head_attention_forward", FUSED_KERNEL)
EDGE, MASK, SHAPE = "edge cases", "mask", "shape"
LENGTHS_DIFFER = "there are more keys than queries, or fewer"
LENGTHS_EQUAL = "there are as many keys as queries"
BATCHES = "there is more than one batch axis"
SHAPES_AGAIN = "there was a call before with inputs of these shapes"
WIDTHS_DIFFER = "d_v is not d_k"
OTHER_TOTAL = "heads · d_v is not d_model"
STRIDED = "the input is a view that does not lie in one piece in memory"
