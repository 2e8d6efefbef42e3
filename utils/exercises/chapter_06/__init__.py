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
        "Somebody forgets the causal mask and trains. How does the training loss look beside that of the right model?",
        (
            Option(
                "Higher: the model is confused by the future.",
                "It is helped by it. The word to be predicted at position t stands in the input at t + 1, in plain "
                "sight; copying it drives the loss to zero.",
            ),
            Option(
                "About the same.",
                "The word to be predicted at position t stands in the input at t + 1. Copying it is far easier than "
                "translating, and the loss goes to zero.",
            ),
            Option(
                "Lower, nearly zero.",
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
        "The number of heads goes from 8 to 16, d_k = d_v stay d_model / h. What happens to the number of parameters?",
        (
            Option(
                "It doubles.",
                "Each head then has half the width. The projections of all heads together stay d_model × d_model.",
            ),
            Option(
                "Nothing.",
                "The matrices of all heads together stay d_model × d_model; they are only cut into thinner slices. "
                "Rows (A) of Table 3 rest on this.",
                right=True,
            ),
            Option(
                "The attentions double, the rest stays.",
                "Each head then has half the width, so that all of them together need the same d_model × d_model.",
            ),
        ),
    ),
)
