"""Words that several exercises of chapter 03 share."""

FUSED_KERNEL = "torch.nn.functional.scaled_dot_product_attention"
EDGE, MASK, SHAPE = "edge cases", "mask", "shape"
LENGTHS_DIFFER = "there are more keys than queries, or fewer"
BATCHES = "there is more than one batch axis"
MANY_AXES = "there are three batch axes"
