"""Chapter 00: the paper in one page, the machine, and how exercises work."""

from utils.exercises.chapter_00.warm_up import WARM_UP
from utils.exercises.declare import Option, Question

TITLE = "Start here"
EXERCISES = (WARM_UP,)
QUESTIONS = (
    Question(
        "0.a",
        "Which of these was new in the paper?",
        (
            Option(
                "Residual connections and layer normalisation, the boxes `add and normalise`.",
                "Residual connections are from 2015 (He et al.), layer normalisation is from 2016 (Ba et al.). The "
                "paper took both over, and without them a stack of six layers would hardly train.",
            ),
            Option(
                "That nothing but attention brings words together.",
                "Attention, residual connections, normalisation, subwords: all were known. New was to leave out "
                "recurrence and convolution, which had brought words together before, and to find that it got better.",
                right=True,
            ),
            Option(
                "Attention itself.",
                "Bahdanau et al. let a decoder look back at its source in 2014, and by 2016 most good translators did. "
                "The paper also puts attention inside of encoder and decoder.",
            ),
        ),
    ),
    Question(
        "0.b",
        "The base model has d_model = 512 and d_ff = 2048. An attention has four matrices of 512 × 512, a feed-forward "
        "network two of 512 × 2048. The encoder's 6 layers have one attention each, the decoder's 6 have two, and "
        "every layer has one feed-forward network. One table of 37 000 × 512 holds all embeddings. Which share of "
        "all these parameters lies in the attentions?",
        (
            Option(
                "All: attention is all you need.",
                "The title says that attention can do without recurrence. Without feed-forward networks, embeddings, "
                "residual connections and norms it could do nothing.",
            ),
            Option(
                "About two thirds.",
                "18 attentions of 1.05 million are 18.9 million. The 12 feed-forward networks have 25.2 million, the "
                "table of embeddings 18.9 million: less than a third.",
            ),
            Option(
                "A little less than a third.",
                "18 attentions of 1.05 million are 18.9 million of 63 million, 30 %. The 12 feed-forward networks have "
                "40 %, the table of embeddings 30 %.",
                right=True,
            ),
        ),
    ),
    Question(
        "0.c",
        "Somebody takes both boxes `+ positions` out of the drawing. What can the encoder no longer tell apart?",
        (
            Option(
                "'The dog bites the man' and 'the man bites the dog'.",
                "Attention compares every word with every other, wherever they stand; the feed-forward network sees "
                "each word alone. Without positions the encoder gets a bag of words.",
                right=True,
            ),
            Option(
                "'The dog bites' and 'the dogs bite'.",
                "These are other words, with other embeddings. What is lost is their order.",
            ),
            Option(
                "Nothing: words come in from left to right.",
                "A recurrent network reads so. Here all words of the source come in at once, and nothing but the "
                "positional code says which is the first.",
            ),
        ),
    ),
    Question(
        "0.d",
        "The trained model translates a sentence of 12 words into one of 10 words, and says that it ends there. How "
        "often does the decoder run, if one translation is generated and nothing is tried twice?",
        (
            Option(
                "Once: all words at the same time.",
                "So it is in training, where the right translation is known and every position learns at once. In "
                "translating, the second word needs the first one as input.",
            ),
            Option(
                "11 times: once for each word, and once for the end.",
                "Each run gives one more word, which goes back in at the bottom right. What runs in parallel is "
                "training, and the encoder.",
                right=True,
            ),
            Option(
                "12 times: once for each word of the source.",
                "The encoder has read the source in one go, all 12 words at once. The decoder runs once for each word "
                "that it writes.",
            ),
        ),
    ),
)
