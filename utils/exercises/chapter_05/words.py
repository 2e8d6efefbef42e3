"""Words that several exercises of chapter 05 share."""

EDGE, SHAPE = "edge cases", "shape"
SCATTERED = "the numbers do not lie in memory in the order of their axes"
AS_BUILT = "the weights are those that your constructor made"
