"""What is predicted in chapter 09 before anything is run."""

from utils.exercises.declare import Option, Question

ASKED = (
    Question(
        "9.a",
        "A recurrence without gates and without tanh: h_t = 0.9 · h_{t−1} + x_t. How much of the first of 50 inputs is "
        "left in the last state?",
        (
            Option(
                "Nine tenths of it.", "That is after one step. Each further step takes nine tenths of what is left."
            ),
            Option(
                "About half a per cent.",
                "49 steps, each a factor of 0.9: 0.9⁴⁹ = 0.0057. With 1.1 in place of 0.9 it would be 107 times the "
                "input.",
                right=True,
            ),
            Option("None of it.", "0.9⁴⁹ = 0.0057 is small and not zero: a product of factors fades, it does not end."),
        ),
    ),
    Question(
        "9.b",
        "A sentence of 20 words, d = 512. Table 1 says n² · d for self-attention and n · d² for a recurrent layer, "
        "25.6 times as much. With every matrix product counted, how do self-attention and a GRU layer compare?",
        (
            Option(
                "Self-attention takes about a twenty-fifth.",
                "So says the table. It leaves out the four projections of attention, 4 n d², and the number of "
                "matrices in a cell: for a GRU, six.",
            ),
            Option(
                "Self-attention takes about two thirds.",
                "2 n² d + 4 n d² against 6 n d²: 21.4 against 31.5 million multiplications. At this length nearly all "
                "of attention's work is projections.",
                right=True,
            ),
            Option(
                "They take the same.",
                "They would at n = d: 2 n² d + 4 n d² = 6 n d² there. At n = 20 attention is ahead.",
            ),
        ),
    ),
    Question(
        "9.c",
        "A trained Transformer writes a translation of 30 words, greedily. How many steps must follow one another?",
        (
            Option(
                "One: it has no recurrence.",
                "Training has one, since all right words are known beforehand. In writing, word 7 has to be chosen "
                "before word 8 can depend on it.",
            ),
            Option(
                "About 30, as many as a recurrent translator.",
                "Each word is an input of the next step, whatever stands inside of the model.",
                right=True,
            ),
            Option(
                "About 900, since each word looks at all others.",
                "The looks of one step happen at once. What has to wait is the next word.",
            ),
        ),
    ),
    Question(
        "9.d",
        "Sentences become twice as long. By what factor does the memory grow that training keeps for the backward "
        "pass: of a self-attention layer, and of a GRU?",
        (
            Option("2 and 2.", "The weights of attention are n × n: twice the text makes four times as many."),
            Option(
                "Between 2 and 4, and 2.",
                "Queries, keys and values grow with n, the weights with n². For long texts the weights are nearly all "
                "there is, and the factor comes close to 4. A GRU keeps the same numbers for each step.",
                right=True,
            ),
            Option("4 and 4.", "A GRU keeps the same amount for each of its steps: twice the steps, twice the memory."),
        ),
    ),
)
