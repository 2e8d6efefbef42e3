"""Words that several exercises of chapter 08 share."""

EDGE = "edge cases"
PADDED = "some source of the batch is padded"
SEVERAL = "there are several sentences"
