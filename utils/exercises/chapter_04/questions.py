"""What chapter 04 asks before anything is run."""

from utils.exercises.declare import Option, Question

QUESTIONS = (
    Question(
        "4.a",
        "A model of width d_model = 512 goes from one head to eight, with d_k = d_v = d_model / heads. What happens to "
        "the number of parameters of its attention?",
        (
            Option(
                "It grows eightfold.",
                "Each head has matrices of its own, but they are eight times narrower, 512 × 64 in place of 512 × 512.",
            ),
            Option(
                "It stays the same.",
                "Eight matrices of 512 × 64 hold as many numbers as one of 512 × 512, and W^O is 512 × 512 in both.",
                right=True,
            ),
            Option(
                "It shrinks to an eighth.",
                "One head's matrices do; but there are eight of them, and together they are as large as before.",
            ),
        ),
    ),
    Question(
        "4.b",
        "x holds 4 tokens of 6 numbers, (1, 4, 6). `x.view(1, 2, 4, 3)` has the shape of two heads of width 3. What "
        "does its first head hold?",
        (
            Option(
                "The first three numbers of each token.",
                "That is what a head should hold. But `view` moves nothing in memory, where the numbers lie token "
                "after token: the first twelve of them are tokens 0 and 1, whole.",
            ),
            Option(
                "All six numbers of tokens 0 and 1.",
                "`view` cuts the memory into pieces in the order in which it lies there, token after token, and the "
                "first twelve numbers are tokens 0 and 1. No error is raised, and training goes on, badly.",
                right=True,
            ),
            Option(
                "Every second number of each token.",
                "That would be `x.view(1, 4, 3, 2)` with the last axis brought to the front.",
            ),
        ),
    ),
    Question(
        "4.c",
        "The decoder has written 5 tokens and looks at a source of 7 tokens, with 8 heads. Which shape do the weights "
        "of the encoder–decoder attention have for one sentence?",
        (
            Option("(8, 5, 7)", "Each head has a row for each query, the 5 tokens that ask, and a column for each key.",
                   right=True),
            Option("(8, 7, 5)", "Rows are queries, and the decoder's 5 tokens ask; the 7 source tokens answer."),
            Option("(5, 7)", "That is the map of one head. Each of the 8 has its own."),
        ),
    ),
    Question(
        "4.d",
        "Which mask does the encoder–decoder attention need?",
        (
            Option(
                "The causal mask.",
                "The future that must stay unseen is that of the output. The source is given as a whole, so the last "
                "source word may be seen from the first target word on.",
            ),
            Option(
                "Padding of the source.",
                "Its keys are the source's tokens, and the only ones among them that must not be seen are padding.",
                right=True,
            ),
            Option(
                "Padding of the target.",
                "A mask hides keys, and the target's tokens are queries here. What a padded query finds is never read.",
            ),
        ),
    ),
)  # fmt: skip
