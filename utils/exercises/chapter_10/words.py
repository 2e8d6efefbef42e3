"""Words that several exercises of chapter 10 share."""

EDGE, MASK = "edge cases", "mask"
VIEW = "an input is a view with axes exchanged, on which `.view` does not work (`.reshape` and `.flatten` do)"
