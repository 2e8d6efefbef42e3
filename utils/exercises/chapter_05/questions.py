"""What is asked in chapter 05 before anything is run."""

from utils.exercises.declare import Option, Question

QUESTIONS = (
    Question(
        "5.a",
        "Which share of an encoder layer's parameters lies in its feed-forward network (d_model = 512, d_ff = 2048)?",
        (
            Option(
                "About a third.",
                "That is attention's share: four matrices of d_model². The two matrices of the feed-forward network "
                "hold 4 d_model² each, eight in all.",
            ),
            Option("About a half.", "Only in a decoder layer, where there are two attentions: 8 d_model² beside 8."),
            Option(
                "About two thirds.",
                "Two matrices of 512 × 2048 are 8 d_model²; the four of attention are 4 d_model². 8 of 12.",
                right=True,
            ),
        ),
    ),
    Question(
        "5.b",
        "To all 512 numbers of one position 100 is added, and all are doubled. What does layer norm give then?",
        (
            Option(
                "The same as before.",
                "Subtracting the mean takes the 100 away, dividing by the deviation takes the 2 away. Only ε notices.",
                right=True,
            ),
            Option("Twice as much.", "The deviation has doubled as well, and it is what the numbers are divided by."),
            Option(
                "100 more.",
                "The mean has grown by as much as each number, and it is subtracted from them all.",
            ),
        ),
    ),
    Question(
        "5.c",
        "The ReLU between the two matrices is taken out. What can a feed-forward network 2048 wide then compute?",
        (
            Option(
                "As much as before; it only learns more slowly.",
                "x W_1 W_2 is x times one matrix of 512 × 512: the 2048 inner units add nothing to it.",
            ),
            Option(
                "What one matrix of 512 × 512 and one bias can.",
                "The product of two matrices is a matrix. 2.1 million parameters would do the work of 0.26 million.",
                right=True,
            ),
            Option(
                "What one matrix of 512 × 2048 can.",
                "The second matrix brings it back to 512: what is left is one matrix of 512 × 512.",
            ),
        ),
    ),
    Question(
        "5.d",
        "In a decoder of 12 post-norm layers, freshly initialised: how large is the gradient that reaches the first "
        "layer's feed-forward weights, beside the last layer's?",
        (
            Option(
                "About as large: that is what residual connections are for.",
                "With pre-norm it is. With post-norm the norms stand on the path itself, and not all that they take "
                "comes back through the sub-layers.",
            ),
            Option(
                "A small fraction, some hundredths of it.",
                "The norms stand on the path itself. Of those behind the attention to the source each passes on only "
                "about 1/√2, and there are twelve. You will measure it, beside pre-norm and no residual connection.",
                right=True,
            ),
            Option(
                "Exactly zero.",
                "Next to nothing arrives in a decoder of 12 layers without residual connections, as you will measure: "
                "too little for float32 to tell from zero beside the last layer's. With them something always arrives.",
            ),
        ),
    ),
)
