"""Words that several exercises of chapter 06 share."""

EDGE, MASK = "edge cases", "mask"
PRE = "the layers are pre-norm"
LENGTHS_DIFFER = "source and target differ in length"
EACH_HEAD = "each head has a mask of its own"
