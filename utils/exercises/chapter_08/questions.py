"""The questions of chapter 08, answered before anything is run."""

from utils.exercises.declare import Option, Question

QUESTIONS = (
    Question(
        "8.a",
        "A beam search is widened from 4 hypotheses to 32. It finds translations that the model holds for likelier; "
        "nothing corrects for their length. What happens to BLEU?",
        (
            Option(
                "It rises: what the model finds likelier is better.",
                "So one would hope. But every token costs probability, so among the likely ones a wide search finds "
                "those that leave words out, and BLEU falls. A good search shows what is wrong with the model.",
            ),
            Option(
                "It falls.",
                "Every token costs probability, so among the likely translations a wide search finds those that leave "
                "words out. This is the beam-search curse; the length penalty is there against it.",
                right=True,
            ),
            Option(
                "It stays the same: four are enough to find the best.",
                "Four are far from enough: wider beams go on finding likelier translations, as the experiment shows. "
                "They are shorter ones, and BLEU falls.",
            ),
        ),
    ),
    Question(
        "8.b",
        "A translation has 40 tokens. How many positions go through the decoder's layers, with a key–value cache and "
        "without one?",
        (
            Option(
                "40 with, 820 without.",
                "With a cache each step computes the newest position; without, step t computes all t of them: "
                "1 + 2 + … + 40 = 820.",
                right=True,
            ),
            Option(
                "40 with, 80 without.",
                "Without a cache step t runs the whole prefix of t positions, not one more: 1 + 2 + … + 40 = 820.",
            ),
            Option(
                "40 with, 1600 without.",
                "The prefix grows as it is written: step t runs t positions, not 40. The sum 1 + 2 + … + 40 is 820, "
                "about half of 40².",
            ),
        ),
    ),
    Question(
        "8.c",
        'Somebody translates a sentence as "the the the the the the the". The reference is "the cat is on the mat". '
        "What share of the seven words does BLEU count as right?",
        (
            Option(
                "7 of 7: every one of them stands in the reference.",
                'So it would be without clipping. The reference has two "the", so two of the seven can be right: 2/7.',
            ),
            Option(
                "2 of 7.",
                'The reference has "the" twice, so two matches count and no more. That is the clipping.',
                right=True,
            ),
            Option(
                "1 of 7: each word counts once.",
                'A word counts as often as it stands in the reference, and there "the" stands twice: 2/7.',
            ),
        ),
    ),
    Question(
        "8.d",
        "Table 2 says that training the base model cost 3.3 · 10¹⁸ floating-point operations. Where does that number "
        "come from?",
        (
            Option(
                "From a counter in the program.",
                "Nothing was counted. §6.1 multiplies training time, number of GPUs and what a GPU is assumed to "
                "sustain; you will see how far a count comes out from it.",
            ),
            Option(
                "From the number of parameters and of tokens.",
                "That is how it is often estimated today, and you will do it: it comes out lower, by a factor. §6.1 "
                "multiplies training time, number of GPUs and what a GPU is assumed to sustain.",
            ),
            Option(
                "From time, GPUs and an assumed speed.",
                "12 hours · 8 GPUs · 9.5 · 10¹² operations a second. So it says for how long hardware was in use, "
                "whatever it did meanwhile.",
                right=True,
            ),
        ),
    ),
)
