"""Chapter 03: scaled dot-product attention (§3.2.1), its masks (§3.2.3), and what stands beside it."""

from utils.exercises.chapter_03.alternatives import ADDITIVE, BLOCKS
from utils.exercises.chapter_03.attention import ONE_QUERY, PLAIN_ATTENTION
from utils.exercises.chapter_03.masks import MASKED, TRIANGLE
from utils.exercises.declare import Option, Question

TITLE = "Scaled dot-product attention"
EXERCISES = (ONE_QUERY, PLAIN_ATTENTION, TRIANGLE, MASKED, ADDITIVE, BLOCKS)
QUESTIONS = (
    Question(
        "3.a",
        "Queries and keys hold independent numbers of variance 1. How does the standard deviation of q · k change when "
        "d_k goes from 16 to 64?",
        (
            Option(
                "It stays the same.",
                "Each of the d_k products adds its own variance of 1, so the sum's variance is d_k: it grows.",
            ),
            Option(
                "It doubles.",
                "The variance of a sum of d_k independent products is d_k, its standard deviation √d_k: from 4 to 8.",
                right=True,
            ),
            Option(
                "It grows fourfold.",
                "The variance does, from 16 to 64. The standard deviation is its root: from 4 to 8.",
            ),
        ),
    ),
    Question(
        "3.b",
        "To every score of one query the same number, 5, is added. What happens to its weights?",
        (
            Option("They grow.", "They sum to one before and after, so they cannot all grow."),
            Option(
                "They come closer to each other.",
                "That takes dividing the scores. Adding leaves their differences, and so all quotients of weights.",
            ),
            Option(
                "Nothing.",
                "exp(s + 5) = exp(5) · exp(s), and the factor cancels. It is why the largest score may be subtracted "
                "before exp is taken, so that nothing overflows.",
                right=True,
            ),
        ),
    ),
    Question(
        "3.c",
        "A key that must not be seen gets the score 0 before the softmax. How much attention does it get?",
        (
            Option("None.", "exp(0) is 1: it counts like any key whose dot product happens to be 0. Only −∞ gives 0."),
            Option(
                "As much as a key at right angles to the query.",
                "Such a key has the score 0 as well, and exp(0) is 1. Only the score −∞ gives the weight 0.",
                right=True,
            ),
            Option(
                "The least of all keys.",
                "Keys with negative scores get less. Only the score −∞ is below all others, and gives the weight 0.",
            ),
        ),
    ),
    Question(
        "3.d",
        "Which parameters does scaled dot-product attention learn?",
        (
            Option(
                "One weight per pair of positions.", "The weights are computed anew from each input; none is stored."
            ),
            Option("The factor 1/√d_k.", "It is fixed by the width of the keys."),
            Option(
                "None.",
                "It is a function of query, key and value. What is learned are the projections that make these three, "
                "in chapter 04.",
                right=True,
            ),
        ),
    ),
)
