"""Chapter 02: positional encoding (§3.5)."""

from utils.exercises.chapter_02.positions import LEARNED_TABLE, ROTATION
from utils.exercises.chapter_02.sinusoids import MATRIX, ONE_CODE, TABLE_OF_CODES, WAVES
from utils.exercises.chapter_02.testing import EQUIVARIANCE
from utils.exercises.declare import Option, Question

TITLE = "Positional encoding"
EXERCISES = (ONE_CODE, TABLE_OF_CODES, WAVES, MATRIX, LEARNED_TABLE, ROTATION, EQUIVARIANCE)
QUESTIONS = (
    Question(
        "2.a",
        "Self-attention without positions and without a mask reads “the dog bites the man”. What changes for the "
        "word “dog” when the sentence becomes “the man bites the dog”?",
        (
            Option(
                "Its output, since its neighbours are others.",
                "Attention does not know who is a neighbour: “dog” meets the same five vectors in either sentence.",
            ),
            Option(
                "Nothing: its output only stands at another place.",
                "Its weights depend on the words and not on where they stand, and a weighted sum does not ask for "
                "order. The output moves with its word: that is equivariance.",
                right=True,
            ),
            Option(
                "Everything: the outputs at all places become equal.",
                "Each place still asks with a query of its own word. The set of outputs is the same, in another order.",
            ),
        ),
    ),
    Question(
        "2.b",
        "And with a causal mask, which lets each word see only itself and the words before it? Still without "
        "positions.",
        (
            Option(
                "The output of a word stays the same, as before.",
                "A word that has moved forward may look at fewer words, so its weighted sum is another one.",
            ),
            Option(
                "The last word's output depends on the order of the words before it, directly.",
                "In a single layer it does not: the last position sees all words, and sums them as an unordered set. "
                "It is the earlier positions whose outputs change.",
            ),
            Option(
                "Outputs change: how many words a position may see depends on where it stands.",
                "So a masked decoder knows something of order without being told: position 0 sees one word, position "
                "1 two. Reordered words are no longer the same set for each position.",
                right=True,
            ),
        ),
    ),
    Question(
        "2.c",
        "d_model is 512 and the codes go from position 0 to 99. Which codes are the longest vectors?",
        (
            Option(
                "Those of late positions.",
                "Sines and cosines stay between −1 and 1 however large the angle is.",
            ),
            Option(
                "All are equally long.",
                "sin² + cos² = 1 for each of the 256 pairs, so every code has the length √256 = 16, and its root mean "
                "square is √½ ≈ 0.71.",
                right=True,
            ),
            Option(
                "That of position 0.",
                "Position 0 is (0, 1, 0, 1, …), of length √256 = 16, and so are all others: sin² + cos² = 1 in each "
                "pair.",
            ),
        ),
    ),
    Question(
        "2.d",
        "Learned positions with a table of 64 rows are trained on sentences of at most 18 tokens. What stands in row "
        "30 afterwards?",
        (
            Option(
                "A value that continues the trend of the rows before it.",
                "Nothing connects the rows: each is a parameter of its own, and no sentence ever asked for row 30.",
            ),
            Option("Zero.", "The rows were drawn at random in the beginning, and no gradient has reached this one."),
            Option(
                "What was drawn before training.",
                "Its gradient was zero in every update, and Adam leaves a parameter where it is as long as its "
                "gradient has always been zero.",
                right=True,
            ),
        ),
    ),
)
