"""Chapter 06: the whole Transformer (§3, figure 1), its layers, its wiring, its leaks and its parameters."""

from utils.exercises.chapter_06.counting import COUNTED, FAMILY
from utils.exercises.chapter_06.layers import DECODER, ENCODER
from utils.exercises.chapter_06.leaking import LEAKING
from utils.exercises.chapter_06.model import SHIFT, WHOLE
from utils.exercises.declare import Option, Question

TITLE = "The Transformer"
EXERCISES = (ENCODER, DECODER, SHIFT, WHOLE, LEAKING, COUNTED, FAMILY)
QUESTIONS = (
    Question(
        "6.a",
        "A target sentence has 20 tokens, END included. From how many forward passes of the decoder does training get "
        "its 20 predictions?",
        (
            Option(
                "One.",
                "The right words are known, so all positions are fed in at once, and the causal mask keeps each from "
                "seeing what it has to predict. That is teacher forcing.",
                right=True,
            ),
            Option(
                "20, one a token.",
                "That is how a finished model translates, where each word has to be written before the next can be "
                "asked for. In training all words are known: one pass with a causal mask gives all 20 predictions.",
            ),
            Option(
                "It depends on the number of layers.",
                "Layers are passed through once each, whatever their number. One pass gives all 20 predictions.",
            ),
        ),
    ),
    Question(
        "6.b",
        "Somebody forgets the causal mask and trains on a large corpus, too large to be learnt by heart. How does the "
        "training loss look beside that of the right model?",
        (
            Option(
                "Higher: the model is confused by the future.",
                "It is helped by it. The word to be predicted at position t stands in the input at t + 1, in plain "
                "sight; copying it drives the loss down.",
            ),
            Option(
                "About the same.",
                "That is so where a few sentences are learnt by heart, as you will see. On a large corpus copying the "
                "word to be predicted, which stands in the input at t + 1, is far easier than translating.",
            ),
            Option(
                "Much lower.",
                "The word to be predicted at position t stands in the input at t + 1, and the model learns to copy it. "
                "Nothing in the training curve says that it cannot translate at all.",
                right=True,
            ),
        ),
    ),
    Question(
        "6.c",
        "Which part holds the largest share of the base model's 63 million parameters?",
        (
            Option(
                "The table of vectors for 37 000 tokens.",
                "It holds 18.9 million, 30 %. It would be three times that if source, target and output had one each.",
            ),
            Option(
                "The attentions.",
                "18 of them with 1.05 million each make 18.9 million, 30 %, just as much as the table of vectors.",
            ),
            Option(
                "The feed-forward networks.",
                "12 of them with 2.1 million each make 25.2 million, 40 %: the part that gets the least attention in "
                "most explanations.",
                right=True,
            ),
        ),
    ),
    Question(
        "6.d",
        "A finished model translates a sentence into four tokens, one after the other. How often does the encoder have "
        "to run?",
        (
            Option(
                "Once.",
                "The source does not change while the target is written, and the encoder sees nothing of the target. "
                "Its output, the memory, is computed once and asked by every decoder layer at every step.",
                right=True,
            ),
            Option(
                "Four times, once a token.",
                "The decoder runs once a token. The encoder sees nothing of the target, so its output would be the "
                "same each time.",
            ),
            Option(
                "Once for each decoder layer.",
                "Every decoder layer asks the same memory, the last encoder layer's output, with projections of its "
                "own.",
            ),
        ),
    ),
)
