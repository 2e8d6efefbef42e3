"""Words that several exercises of chapter 05 share."""

EDGE, SHAPE = "edge cases", "shape"
