"""What goes wrong in counting parameters and multiplications (chapter 04), and what puts it right."""

from dataclasses import replace

from utils.exercises.chapter_04.references import attention_counts
from utils.exercises.declare import Misconception


def counting(parameters=None, multiplications=None):
    """A wrong answer to 4.5: one of the two numbers counted otherwise."""

    def answer(target_len, source_len, d_model, heads, d_k, d_v, bias=True):
        sizes = target_len, source_len, d_model, heads, d_k, d_v, bias
        right = attention_counts(*sizes)
        return (
            right[0] if parameters is None else parameters(*sizes),
            right[1] if multiplications is None else multiplications(*sizes),
        )

    return answer


def projecting(t, s, d, h, k, v):
    return d * h * (t * k + s * k + s * v + t * v)


SLIPS = (
    Misconception(
        "no output projection",
        counting(
            lambda t, s, d, h, k, v, bias: h * (2 * k + v) * (d + bias),
            lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v) - t * d * h * v + h * t * s * (k + v),
        ),
        "Both your numbers lack W^O: heads · d_v times d_model parameters and its biases, used at each of the "
        "target_len positions.",
    ),
    Misconception(
        "output projection's parameters missing",
        counting(lambda t, s, d, h, k, v, bias: h * (2 * k + v) * (d + bias)),
        "Your parameters lack W^O: heads · d_v times d_model, and d_model biases.",
    ),
    Misconception(
        "biases missing",
        counting(lambda t, s, d, h, k, v, bias: d * h * 2 * (k + v)),
        "Your parameters leave the biases out: one for each output of each of the four projections, unless bias is "
        "False.",
    ),
    Misconception(
        "output's biases missing",
        counting(lambda t, s, d, h, k, v, bias: h * (2 * k + v) * (d + bias) + h * v * d),
        "Your parameters count the biases of three projections. W^O has biases too, one for each of its d_model "
        "outputs: d_model biases.",
    ),
    Misconception(
        "d_model biases each",
        counting(lambda t, s, d, h, k, v, bias: 2 * d * h * (k + v) + 4 * d * bias),
        "You give every projection d_model biases. A projection has as many as it has outputs: heads · d_k, heads · "
        "d_k, heads · d_v, and only the last has d_model.",
    ),
    Misconception(
        "parameters of one head",
        counting(lambda t, s, d, h, k, v, bias: (2 * k + v) * (d + bias) + (v + bias) * d),
        "Your parameters are those of one head. There are `heads` of them, and W^O has heads · d_v inputs.",
    ),
    Misconception(
        "projections of one head",
        counting(lambda t, s, d, h, k, v, bias: (2 * k + v) * (d + bias) + (h * v + bias) * d),
        "Your parameters count the projections of queries, keys and values for one head. There are `heads` of each.",
    ),
    Misconception(
        "values as wide as keys",
        counting(lambda t, s, d, h, k, v, bias: 3 * h * k * (d + bias) + (h * v + bias) * d),
        "Your parameters take all three of queries, keys and values to be d_k wide. Values are d_v wide.",
    ),
    Misconception(
        "biases always",
        counting(lambda t, s, d, h, k, v, bias: h * (2 * k + v) * (d + 1) + (h * v + 1) * d),
        "Your parameters count biases even where `bias` is False.",
    ),
    Misconception(
        "heads of full width",
        counting(lambda t, s, d, h, k, v, bias: h * (4 * d * d + 4 * d * bias)),
        "You give each head projections of the full width. A head's matrices are d_model × d_k and d_model × d_v: all "
        "heads together need no more than one wide head.",
    ),
    Misconception(
        "4 d_model²",
        counting(lambda t, s, d, h, k, v, bias: 4 * d * d + 4 * d * bias),
        "4 · d_model² (+ 4 · d_model) holds only where heads · d_k = heads · d_v = d_model. Here the widths are free: "
        "count each projection with its own sizes.",
    ),
    Misconception(
        "4 d_model² + 4 d_model",
        counting(lambda t, s, d, h, k, v, bias: 4 * d * d + 4 * d),
        "4 · d_model² + 4 · d_model holds only where heads · d_k = heads · d_v = d_model and there are biases. Here "
        "the widths are free: count each projection with its own sizes, and its biases only if `bias` says so.",
    ),
    Misconception(
        "4 d_model², no biases",
        counting(lambda t, s, d, h, k, v, bias: 4 * d * d),
        "4 · d_model² leaves the biases out, and holds only where heads · d_k = heads · d_v = d_model. Count each "
        "projection with its own sizes, and a bias for each of its outputs.",
    ),
    Misconception(
        "both numbers by d_model",
        counting(
            lambda t, s, d, h, k, v, bias: 4 * d * d + 4 * d * bias,
            lambda t, s, d, h, k, v, bias: 4 * t * d * d + 2 * t * s * d,
        ),
        "Both your numbers are made of d_model alone, which holds only where heads · d_k = heads · d_v = d_model (and, "
        "for the multiplications, target_len = source_len). Count each product with its own sizes.",
    ),
    Misconception(
        "multiplications by d_model",
        counting(None, lambda t, s, d, h, k, v, bias: 4 * t * d * d + 2 * t * s * d),
        "Your multiplications are made of d_model alone, which holds only where heads · d_k = heads · d_v = d_model "
        "and target_len = source_len. Count each product with its own sizes.",
    ),
    Misconception(
        "output's product missing",
        counting(
            None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v) - t * d * h * v + h * t * s * (k + v)
        ),
        "Your multiplications lack the last product, that with W^O: heads · d_v times d_model at each of the "
        "target_len positions.",
    ),
    Misconception(
        "output projected at the keys' positions",
        counting(None, lambda t, s, d, h, k, v, bias: d * h * s * (k + 2 * v) + d * h * t * k + h * t * s * (k + v)),
        "Your multiplications project the output at source_len positions. There is one output for each query: "
        "target_len positions.",
    ),
    Misconception(
        "as many keys as queries",
        counting(None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v) + h * t * t * (k + v)),
        "Your two products of Equation 1 take target_len · target_len pairs. Each of the target_len queries meets "
        "source_len keys.",
    ),
    Misconception(
        "mixing of width d_k",
        counting(None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v) + 2 * h * t * s * k),
        "Your multiplications take both products of Equation 1 to be d_k wide. The second, weights times values, is "
        "d_v wide.",
    ),
    Misconception(
        "biases multiplied",
        counting(
            None,
            lambda t, s, d, h, k, v, bias: (
                h * (t * k + s * k + s * v) * (d + bias) + t * d * (h * v + bias) + h * t * s * (k + v)
            ),
        ),
        "Your multiplications count the biases. They are added, not multiplied.",
    ),
    Misconception(
        "projections of one token",
        counting(None, lambda t, s, d, h, k, v, bias: 2 * d * h * (k + v) + h * t * s * (k + v)),
        "Your multiplications project one token. Each projection is done for each token, at target_len or source_len "
        "positions.",
    ),
    Misconception(
        "keys projected at the queries' positions",
        counting(None, lambda t, s, d, h, k, v, bias: t * d * h * 2 * (k + v) + h * t * s * (k + v)),
        "Your multiplications project keys and values at target_len positions. There are source_len of them.",
    ),
    Misconception(
        "attention itself missing",
        counting(None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v)),
        "Your multiplications end at the projections: QKᵀ takes target_len · source_len · d_k more for each head, and "
        "mixing the values target_len · source_len · d_v.",
    ),
    Misconception(
        "scores without mixing",
        counting(None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v) + h * t * s * k),
        "Your multiplications count QKᵀ, but not the second product of Equation 1, weights times values: target_len · "
        "source_len · d_v for each head.",
    ),
    Misconception(
        "attention counted for one head",
        counting(None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v) + t * s * (k + v)),
        "You count the two products of Equation 1 once. Each head does them: heads times.",
    ),
    Misconception(
        "additions counted too",
        counting(None, lambda t, s, d, h, k, v, bias: 2 * attention_counts(t, s, d, h, k, v, bias)[1]),
        "Your second number counts multiplications and additions, twice what is asked for. (As floating-point "
        "operations that is the usual way; here multiplications alone are asked for.)",
    ),
    Misconception(
        "output projection of one head",
        counting(lambda t, s, d, h, k, v, bias: h * (2 * k + v) * (d + bias) + (v + bias) * d),
        "Your parameters take W^O to have d_v inputs. It reads all heads side by side: heads · d_v inputs.",
    ),
    Misconception(
        "multiplications of one head",
        counting(None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, 1, k, v) + t * s * (k + v)),
        "Your multiplications are those of one head. There are `heads` of them.",
    ),
    Misconception(
        "projections multiplied for one head",
        counting(None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, 1, k, v) + h * t * s * (k + v)),
        "Your multiplications count the projections of one head. There are `heads` of them.",
    ),
    Misconception(
        "attention of full width",
        counting(None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v) + 2 * h * t * s * d),
        "Your multiplications take both products of Equation 1 to be d_model wide in each head. The first is d_k wide, "
        "the second d_v.",
    ),
    Misconception(
        "numbers exchanged",
        lambda *sizes, **named: attention_counts(*sizes, **named)[::-1],
        "Both numbers are right, but in the wrong order; asked for is (parameters, multiplications).",
    ),
)

# Many wrong counts agree where d_k = d_v or target_len = source_len: none is told of an answer that differs elsewhere.
ATTENTION_COUNTS = tuple(replace(slip, everywhere=True) for slip in SLIPS)
