"""What goes wrong with padding and batches (chapter 01), and what puts it right."""

from utils.exercises.declare import Misconception
from utils.transformer.masks import PADDING

# 1.3, the padding mask ────────────────────────────────────────────────────────────────────────────────────────────


def masking(make):
    """A wrong answer to 1.3."""
    return lambda tokens, padding_id=PADDING: make(tokens, padding_id)


PADDING_MASK = (
    Misconception(
        "True marks padding",
        masking(lambda tokens, padding_id: (tokens == padding_id)[:, None, None, :]),
        "Your mask is True at padding. In this course, True = may be attended to, so it is True at real tokens. (The "
        "`key_padding_mask` of torch.nn.MultiheadAttention has the other sense.)",
    ),
    Misconception(
        "no axes for heads and queries",
        masking(lambda tokens, padding_id: tokens != padding_id),
        "Your mask is right but has the shape (batch, length). Every mask of the course has four axes, (batch, heads, "
        "query, key): put two of size 1 between, `[:, None, None, :]`.",
    ),
    Misconception(
        "one axis missing",
        masking(lambda tokens, padding_id: (tokens != padding_id)[:, None, :]),
        "Your mask has three axes; beside scores of shape (batch, heads, query, key) its batch would stand where the "
        "heads are. Put two axes of size 1 between batch and length.",
    ),
    Misconception(
        "axes in front",
        masking(lambda tokens, padding_id: (tokens != padding_id)[None, None]),
        "Your new axes stand in front: (1, 1, batch, length) would use the batch as queries. Sentences come first: "
        "`[:, None, None, :]`.",
    ),
    Misconception(
        "queries hidden",
        masking(lambda tokens, padding_id: (tokens != padding_id)[:, None, :, None]),
        "Your mask, (batch, 1, length, 1), hides rows: it says who may look, and everybody may look at padding. "
        "Columns are keys, those who are looked at: length comes last.",
    ),
    Misconception(
        "padding is always 0",
        masking(lambda tokens, padding_id: (tokens != 0)[:, None, None, :]),
        "You compare with 0 whatever `padding_id` says.",
    ),
    Misconception(
        "above the padding id",
        masking(lambda tokens, padding_id: (tokens > padding_id)[:, None, None, :]),
        "You take every id above the padding's for a word. With padding id 3, the ids 0, 1 and 2 are no padding "
        "either: compare with `!=`.",
    ),
    Misconception(
        "special ids hidden too",
        masking(lambda tokens, padding_id: ((tokens != padding_id) & (tokens > 3))[:, None, None, :]),
        "Your mask hides unknown, begin and end as well. These are real tokens that attention needs: only padding is "
        "hidden.",
    ),
    Misconception(
        "numbers in place of truth values",
        masking(lambda tokens, padding_id: (tokens != padding_id)[:, None, None, :].float()),
        "Your mask holds 1.0 and 0.0. `~mask` and `masked_fill` want True and False: leave the comparison as it is.",
    ),
    Misconception(
        "a square for every sentence",
        masking(
            lambda tokens, padding_id: (
                (tokens != padding_id)[:, None, None, :] & (tokens != padding_id)[:, None, :, None]
            )
        ),
        "Your mask also hides rows, so that padding may look at nothing. What padding computes is thrown away anyway; "
        "hide columns alone, (batch, 1, 1, length), and no row is left without a key.",
    ),
)


# 1.6, batches by token budget ─────────────────────────────────────────────────────────────────────────────────────


def batching(order=None, fits=None):
    """A wrong answer to 1.6 that takes sentences in another order, or closes a batch otherwise.

    `fits(batch, length, budget)` gets the lengths in the batch and that of the sentence at hand.
    """
    order = order or (lambda lengths: sorted(range(len(lengths)), key=lambda i: lengths[i]))
    fits = fits or (lambda batch, length, budget: (len(batch) + 1) * max([*batch, length]) <= budget)

    def answer(lengths, budget):
        batches = []
        for index in order(lengths):
            if batches and fits([lengths[i] for i in batches[-1]], lengths[index], budget):
                batches[-1].append(index)
            else:
                batches.append([index])
        return batches

    return answer


def ties_backwards(lengths):
    return sorted(range(len(lengths)), key=lambda i: (lengths[i], -i))


def long_ones_left_out(lengths, budget):
    return [batch for batch in batching()(lengths, budget) if lengths[batch[0]] <= budget]


def last_batch_forgotten(lengths, budget):
    return batching()(lengths, budget)[:-1]


def starts_empty(lengths, budget):
    batches = [[]]
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if (len(batches[-1]) + 1) * lengths[index] > budget:
            batches.append([])
        batches[-1].append(index)
    return batches


def lengths_given_back(lengths, budget):
    return [[lengths[i] for i in batch] for batch in batching()(lengths, budget)]


TOKEN_BUDGET = (
    Misconception(
        "not sorted",
        batching(order=lambda lengths: range(len(lengths))),
        "You take the sentences in their given order. Then short ones stand beside long ones and are padded to their "
        "length; go from the shortest to the longest.",
    ),
    Misconception(
        "longest first",
        batching(order=lambda lengths: sorted(range(len(lengths)), key=lambda i: -lengths[i])),
        "You go from the longest to the shortest; asked for is from the shortest on.",
    ),
    Misconception(
        "ties backwards",
        batching(order=ties_backwards),
        "Equally long sentences come in reverse. `sorted` with the length alone as its key keeps their given order.",
    ),
    Misconception(
        "real tokens counted",
        batching(fits=lambda batch, length, budget: sum(batch) + length <= budget),
        "You add up the sentences' own lengths. Memory is taken up by the padded rectangle: number of sentences × "
        "longest.",
    ),
    Misconception(
        "sentences counted",
        batching(fits=lambda batch, length, budget: len(batch) + 1 <= budget),
        "Your budget counts sentences. It is meant in tokens: number of sentences × longest.",
        everywhere=True,
    ),
    Misconception(
        "everything in one batch",
        batching(fits=lambda batch, length, budget: True),
        "All your sentences come into one batch, whatever the budget is.",
        everywhere=True,
    ),
    Misconception(
        "shortest of the batch",
        batching(fits=lambda batch, length, budget: (len(batch) + 1) * batch[0] <= budget),
        "You reckon with the first sentence of the batch, which is its shortest. All are padded to the longest: the "
        "one that is being added.",
    ),
    Misconception(
        "places in the sorted list",
        lambda lengths, budget: batching()(sorted(lengths), budget),
        "Your indices count in the sorted list of lengths. They are to fetch sentences from the given list: sort the "
        "indices, `sorted(range(len(lengths)), key=…)`.",
    ),
    Misconception(
        "first of equally long ones",
        batching(order=lambda lengths: [lengths.index(length) for length in sorted(lengths)]),
        "Of equally long sentences you take the first again and again, since `lengths.index` finds no other. Sort the "
        "indices themselves, `sorted(range(len(lengths)), key=…)`.",
    ),
    Misconception(
        "looks too late",
        batching(fits=lambda batch, length, budget: len(batch) * max(batch) < budget),
        "You close a batch after it has gone beyond the budget. Ask before you add: would it still fit with this "
        "sentence?",
    ),
    Misconception(
        "one short",
        batching(fits=lambda batch, length, budget: (len(batch) + 1) * length < budget),
        "You never fill the budget exactly: the product may be as large as the budget (`<=`).",
    ),
    Misconception(
        "longest so far",
        batching(fits=lambda batch, length, budget: (len(batch) + 1) * max(batch) <= budget),
        "You reckon with the longest sentence before the new one is added. The new one is longer, and all others are "
        "padded to it.",
    ),
    Misconception(
        "long sentences left out",
        long_ones_left_out,
        "Sentences longer than the budget are missing. Each has a batch of its own, so that nothing is lost.",
    ),
    Misconception(
        "empty batch in front",
        starts_empty,
        "Your first batch is empty when the first sentence is longer than the budget. An empty batch has no longest "
        "sentence and no loss: begin a batch with its first sentence.",
    ),
    Misconception(
        "last batch forgotten",
        last_batch_forgotten,
        "The last batch is missing: it never becomes full, and has to be kept when the sentences run out.",
    ),
    Misconception(
        "lengths in place of indices",
        lengths_given_back,
        "Your batches hold lengths. Asked for are indices, so that the sentences themselves can be fetched.",
    ),
)
