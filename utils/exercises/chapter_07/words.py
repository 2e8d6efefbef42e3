"""Words that several exercises of chapter 07 share."""

EDGE = "edge cases"
GROUPS = "the optimiser has two parameter groups"
LEFT = "gradients of an earlier update lie in the model"
EVALUATION = "the model comes in evaluation mode, with dropout in it"
TWICE = "the function is called several times"
UNEVEN = "batches hold different numbers of tokens"
