"""Chapter 00: the paper in one page, the machine, and how exercises work."""

from utils.exercises.chapter_00.warm_up import WARM_UP
from utils.exercises.declare import Option, Question

TITLE = "Start here"
EXERCISES = (WARM_UP,)
QUESTIONS = (
    Question(
        "0.a",
        "Translators of 2016 had an encoder, a decoder, and attention between them. What did the paper leave out?",
        (
            Option(
                "Attention: it replaced it by something new.",
                "Attention is what it kept. Bahdanau et al. put it between encoder and decoder in 2014; the paper also "
                "puts it inside of both.",
            ),
            Option(
                "Recurrence: reading word by word, with a state that is handed on.",
                "Nothing in the drawing waits for the word before, while it reads or while it is trained. "
                "Recurrence and convolution are what the title says are not needed.",
                right=True,
            ),
            Option(
                "The decoder: one stack does all.",
                "The paper's model has both. Leaving the encoder out came in 2018, with Liu et al. and with GPT.",
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
