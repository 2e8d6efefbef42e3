"""Words that several exercises of chapter 09 share."""

EDGE, MASK, SHAPE = "edge cases", "mask", "shape"
PADDED = "some sentence of the batch holds padding"
STRANGE = "a word is unknown, id 1, which is not padding"
FINISHED_CELLS = (
    "torch.nn.GRUCell", "torch.nn.GRU", "torch.gru_cell", "torch.gru", "torch.nn.LSTMCell", "torch.nn.RNNCell",
)  # fmt: skip
