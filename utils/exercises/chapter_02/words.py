"""Words that several exercises of chapter 02 share."""

EDGE, SHAPE = "edge cases", "shape"
FAR = "positions go into the thousands"
STARTED = "`start` is not 0"
