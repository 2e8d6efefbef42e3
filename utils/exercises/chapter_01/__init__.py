"""Chapter 01: tokens and embeddings (§3.4, §5.1)."""

from utils.exercises.chapter_01.batching import BUDGET, PADDED
from utils.exercises.chapter_01.pieces import IDS, MERGE
from utils.exercises.chapter_01.table import EMBED, SCORE
from utils.exercises.declare import Option, Question

TITLE = "Tokens and embeddings"
EXERCISES = (IDS, MERGE, PADDED, EMBED, SCORE, BUDGET)
QUESTIONS = (
    Question(
        "1.a",
        "A vocabulary of 29 000 word forms, learnt from 58 000 sentences, meets 2 000 new sentences of the same kind. "
        "About what share of their words does it not know?",
        (
            Option(
                "None: 29 000 words are more than anybody uses.",
                "Half of those 29 000 were seen once only, and a language does not stop there: 1.9 % of the new "
                "sentences' words are none of them. German makes new compounds every day.",
            ),
            Option(
                "About one in fifty.",
                "1.9 %, measured below on Multi30k. With twelve or thirteen words a sentence, every fifth "
                "sentence has one, and it is seldom an unimportant one.",
                right=True,
            ),
            Option(
                "About one in five.",
                "That is where a vocabulary of under 1 000 words stands. Frequent words make up most of any text; what "
                "is left over is 1.9 %, measured below on Multi30k.",
            ),
        ),
    ),
    Question(
        "1.b",
        "A table of 37 000 × 512 numbers starts as Xavier has it: with a standard deviation of √(2 / (37 000 + 512)), "
        "the root of 2 by the sum of rows and columns. Its vectors are multiplied by √512, and a positional code with "
        "a root mean square of 0.71 is added. Which of the two is larger?",
        (
            Option(
                "The word's vector.",
                "The large vocabulary makes the numbers tiny: √(2 / 37 512) is 0.0073, times √512 0.17. The positional "
                "code is four times as large.",
            ),
            Option(
                "The positional code.",
                "Four times: the word's vector has a standard deviation of √(2 / 37 512) · √512 = 0.17.",
                right=True,
            ),
            Option(
                "They are level.",
                "They would be with a table drawn from N(0, 1/d_model), which gives 1.0. Xavier's gives 0.17.",
            ),
        ),
    ),
    Question(
        "1.c",
        "Source embedding, target embedding and output layer share one table in the paper's base model. Without "
        "sharing, it would have how many more parameters?",
        (
            Option("A few per cent.", "One table has 37 000 × 512 = 18.9 million, 30 % of the base model."),
            Option(
                "About a third more.",
                "That would be one table more. There would be two more, of 18.9 million each.",
            ),
            Option(
                "More than half as many again.",
                "Two tables more, 37.9 million beside 63.1 million: 60 %.",
                right=True,
            ),
        ),
    ),
    Question(
        "1.d",
        "The words 'ab' (5 times) and 'abab' (3 times) are written in letters. How often does the pair (a, b) count in "
        "the first step of byte-pair encoding?",
        (
            Option("2", "Those are the words that it occurs in. Each place counts, as often as its word does."),
            Option("8", "'abab' holds the pair twice, so its 3 count twice: 5 + 2 · 3 = 11."),
            Option("11", "Once in each 'ab', twice in each 'abab': 5 + 2 · 3.", right=True),
        ),
    ),
)
