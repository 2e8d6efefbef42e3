"""Chapter 07: training (§5): loss, schedule, updates, accumulation, averaging, stopping."""

from utils.exercises.chapter_07.ending import AVERAGING, STOPPING
from utils.exercises.chapter_07.loss import SCHEDULE, SMOOTHED_LOSS
from utils.exercises.chapter_07.steps import ACCUMULATING, STEP
from utils.exercises.declare import Option, Question

TITLE = "Training"
EXERCISES = (SMOOTHED_LOSS, SCHEDULE, STEP, ACCUMULATING, AVERAGING, STOPPING)
QUESTIONS = (
    Question(
        "7.a",
        "A model with random weights has a vocabulary of V = 1 600 words. What is its cross-entropy per word before "
        "the first update, about? (ln is the natural logarithm; ln 1600 = 7.4.)",
        (
            Option("1.", "That would be a probability of e⁻¹ = 37 % for the right word, with nothing learnt yet."),
            Option(
                "ln 1600 = 7.4.",
                "It knows nothing, so each word gets a probability of about 1/1600, and −ln(1/1600) = ln 1600.",
                right=True,
            ),
            Option("1600.", "The loss is the logarithm: −ln(1/1600) = 7.4. Its exponential, the perplexity, is 1600."),
        ),
    ),
    Question(
        "7.b",
        "Eq. 3 with warmup = 1000 instead of 4000: what else changes besides the time of the peak?",
        (
            Option("Nothing.", "The peak is (d_model · warmup)^−0.5. A shorter warm-up makes it higher."),
            Option(
                "The peak is twice as high.",
                "The peak is (d_model · warmup)^−0.5, and the root of 1000 is half the root of 4000. The slope of the "
                "warm-up grows eightfold. From update 4000 on both schedules agree.",
                right=True,
            ),
            Option(
                "The peak is four times as high.",
                "The peak is (d_model · warmup)^−0.5: a quarter of the warm-up, of that the root, so twice as high.",
            ),
        ),
    ),
    Question(
        "7.c",
        "Two batches make one update: the first has 100 real tokens, the second 900. Each loss is a mean over its "
        "batch's tokens. With which weights do they go into the update, so that all tokens count alike?",
        (
            Option(
                "½ and ½.",
                "Then a token of the first batch would weigh nine times as much as one of the second: ½ / 100 against "
                "½ / 900.",
            ),
            Option("0.1 and 0.9.", "0.1 / 100 = 0.9 / 900: each token weighs 1/1000.", right=True),
            Option(
                "1 and 1.",
                "Then the gradient would be about twice as large as that of one batch, and tokens of the first would "
                "still weigh nine times as much.",
            ),
        ),
    ),
    Question(
        "7.d",
        "A weight of 1 in bfloat16 (eight significant bits) is to grow by 0.001. What is it afterwards?",
        (
            Option("1.001.", "That number does not exist in bfloat16: above 1 its neighbours are 1/128 apart."),
            Option(
                "1.",
                "The next number above 1 is 1 + 1/128 = 1.0078. 1.001 is nearer to 1, and is rounded to it: the update "
                "is lost, and so is the next one. That is why weights are kept in 32 bits.",
                right=True,
            ),
            Option("1.0078.", "That is the next number above 1, but 1.001 is nearer to 1 and is rounded to it."),
        ),
    ),
)
