"""Words that several exercises of chapter 10 share."""

EDGE, MASK = "edge cases", "mask"
