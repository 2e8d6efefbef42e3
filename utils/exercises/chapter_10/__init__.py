"""Chapter 10: what attention looks at (appendix, figures 3–5), and how far that explains anything."""

from utils.exercises.chapter_10.changing import CONTRIBUTION, OTHER_WEIGHTS, PRUNE
from utils.exercises.chapter_10.maps import MAPS_OF
from utils.exercises.chapter_10.measuring import ERROR_RATE, FINDS
from utils.exercises.declare import Option, Question

TITLE = "What attention looks at"
EXERCISES = (MAPS_OF, ERROR_RATE, FINDS, PRUNE, OTHER_WEIGHTS, CONTRIBUTION)
QUESTIONS = (
    Question(
        "10.a",
        "A map of the attention to the source, with the row labelled by the word that the decoder has just *read*. "
        "What is wrong with that label?",
        (
            Option(
                "Nothing: the row belongs to the word that goes in.",
                "It goes in there, but the row is computed to find what comes next. Labelled with the word that is "
                "read, the best head of our model seems to be wrong nearly everywhere: the cell on labels counts it.",
            ),
            Option(
                "The row is used to write the next word; it should bear that one.",
                "The target is shifted right: at the place of BEGIN the first word is written, and so on. What a row "
                "looks at serves the word that is about to be written.",
                right=True,
            ),
            Option(
                "Rows are keys, so it should bear a source word.",
                "Rows are queries, and in the attention to the source the queries are target positions. The question "
                "is only which target word: the one read or the one written.",
            ),
        ),
    ),
    Question(
        "10.b",
        "Our model has 24 heads: two layers of encoder self-attention, decoder self-attention and attention to the "
        "source, four heads each. How many of them can be silenced, one at a time, with a loss of less than a quarter "
        "of the model's BLEU?",
        (
            Option(
                "Next to none: each head has learnt its task.",
                "The cell on pruning says otherwise: one head less mostly costs a few points. The other three of its "
                "layer and the residual connection are still there.",
            ),
            Option(
                "About half.",
                "More than that. The cell on pruning counts them, and the recorded run does so for other seeds.",
            ),
            Option(
                "Most of them.",
                "Silencing one head mostly costs far less than a quarter. (Which is not to say that all of them can "
                "go: without any of the four a layer of attention is missing, and that shows.)",
                right=True,
            ),
        ),
    ),
    Question(
        "10.c",
        "A query spreads its attention over 30 keys; the values have d_v = 16 numbers. Are there other weights, "
        "positive and of sum one, that give exactly the same output?",
        (
            Option(
                "No: the output determines the weights.",
                "The output says 16 things and the sum one more: 17 equations for 30 unknowns. 13 directions are free.",
            ),
            Option(
                "Yes, along at least 13 directions.",
                "17 equations (16 numbers of the output and the sum) leave 30 − 17 = 13 of 30 unknowns free; how far "
                "one can go is limited by weights that must not become negative.",
                right=True,
            ),
            Option(
                "Only where two values are equal.",
                "Equal values are the plainest case. But 30 vectors of width 16 always depend on each other, equal or "
                "not: there are 13 directions that change nothing.",
            ),
        ),
    ),
)
