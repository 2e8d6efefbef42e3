"""What goes wrong when maps are measured (chapter 10), and what puts it right."""

from torch import Tensor, nn

from utils.exercises.declare import Misconception

# 10.2, the alignment error rate ───────────────────────────────────────────────────────────────────────────────────


def largest_in_row(weights: Tensor) -> Tensor:
    """bool: True at the largest weight of each row."""
    return nn.functional.one_hot(weights.argmax(dim=-1), weights.size(-1)).bool()


def largest_in_column(weights: Tensor) -> Tensor:
    """bool: True at the largest weight of each column."""
    return nn.functional.one_hot(weights.argmax(dim=-2), weights.size(-2)).bool().transpose(-2, -1)


def asked_rows(sure: Tensor, possible: Tensor) -> Tensor:
    return possible.any(dim=-1, keepdim=True)


def rating(count, choose=largest_in_row, asked=asked_rows):
    """A wrong answer to 10.2; `count(links, sure, possible)` gives numerator and denominator of what is right."""

    def answer(weights: Tensor, sure: Tensor, possible: Tensor) -> float:
        links = choose(weights)
        if asked is not None:
            links = links & asked(sure, possible)
        right, made = count(links, sure, possible)
        return 0.0 if made == 0 else 1 - float(right) / float(made)

    return answer


def usual(links: Tensor, sure: Tensor, possible: Tensor) -> tuple[Tensor, Tensor]:
    return (links & sure).sum() + (links & possible).sum(), links.sum() + sure.sum()


def not_taken_from_one(weights: Tensor, sure: Tensor, possible: Tensor) -> float:
    rate = rating(usual)(weights, sure, possible)
    return 1 - rate if possible.any() else 0.0


def zero_without_sure(weights: Tensor, sure: Tensor, possible: Tensor) -> float:
    return rating(usual)(weights, sure, possible) if sure.any() else 0.0


def mean_of_sentences(weights: Tensor, sure: Tensor, possible: Tensor) -> float:
    if weights.dim() == 2:
        return rating(usual)(weights, sure, possible)
    parts = [mean_of_sentences(*part) for part in zip(weights, sure, possible, strict=True)]
    return sum(parts) / len(parts)


def without_guard(weights: Tensor, sure: Tensor, possible: Tensor) -> float:
    links = largest_in_row(weights) & asked_rows(sure, possible)
    right, made = usual(links, sure, possible)
    return 1 - (right / made).item()


ERROR_RATES = (
    Misconception(
        "not taken from one",
        not_taken_from_one,
        "You return (|A∩S| + |A∩P|) / (|A| + |S|), the share of what is right. The error rate is 1 minus that.",
    ),
    Misconception(
        "rows without a link count",
        rating(usual, asked=None),
        "You link every row, also those that have no possible link: commas, END, padding. Nothing could be right "
        "there, so they are left out of A: `& possible.any(dim=-1, keepdim=True)`.",
    ),
    Misconception(
        "zero where nothing is sure",
        zero_without_sure,
        "You return 0 wherever no link is sure. Links may have been made there, and be wrong: only where A and S are "
        "both empty the rate is 0.",
    ),
    Misconception(
        "rows without a sure link left out",
        rating(usual, asked=lambda sure, possible: sure.any(dim=-1, keepdim=True)),
        "You leave out the rows that have no sure link. A row with a possible link counts too: leave out only those "
        "for which `possible` has nothing.",
    ),
    Misconception(
        "largest in each column",
        rating(usual, choose=largest_in_column),
        "You link each column to the row with its largest weight (dim=-2). Rows are queries, and each query is linked "
        "to the key that it looks at most: `weights.argmax(dim=-1)`.",
    ),
    Misconception(
        "all weights above a half",
        rating(usual, choose=lambda weights: weights > 0.5),
        "You link where a weight is above a bound. A row that spreads its attention then has no link at all; each row "
        "is linked to its largest weight, however small that is.",
    ),
    Misconception(
        "sure links twice",
        rating(lambda links, sure, possible: (2 * (links & sure).sum(), links.sum() + sure.sum())),
        "You count |A∩S| twice. A link that is possible but not sure then counts as an error; the second term is "
        "|A∩P|.",
    ),
    Misconception(
        "possible links twice",
        rating(lambda links, sure, possible: (2 * (links & possible).sum(), links.sum() + sure.sum())),
        "You count |A∩P| twice. The first term is |A∩S|: sure links that are missing have to cost something.",
    ),
    Misconception(
        "possible for sure",
        rating(lambda links, sure, possible: (2 * (links & possible).sum(), links.sum() + possible.sum())),
        "You use P everywhere in place of S. Then every possible link that is not made counts as missing, and a row "
        "that may go with either of two words can never be right.",
    ),
    Misconception(
        "|P| in the denominator",
        rating(lambda links, sure, possible: (usual(links, sure, possible)[0], links.sum() + possible.sum())),
        "Your denominator is |A| + |P|. It is |A| + |S|: only sure links must be made.",
    ),
    Misconception(
        "precision alone",
        rating(lambda links, sure, possible: ((links & possible).sum(), links.sum())),
        "You return 1 − |A∩P| / |A|: how many of the links made are wrong. What is missing, sure links that were not "
        "made, has to count as well.",
    ),
    Misconception(
        "recall alone",
        rating(lambda links, sure, possible: ((links & sure).sum(), sure.sum())),
        "You return 1 − |A∩S| / |S|: how many sure links are missing. Links that are made and wrong have to count as "
        "well.",
    ),
    Misconception(
        "mean over sentences",
        mean_of_sentences,
        "You take the rate of each sentence and average. A sentence with two words then weighs as much as one with "
        "twenty. Count over everything, and divide once.",
    ),
    Misconception(
        "nothing divided by nothing",
        without_guard,
        "Right, but where there is no link at all: 0/0 is NaN. The rate is 0 there, since nothing is wrong.",
    ),
)


# 10.3, what a head finds ──────────────────────────────────────────────────────────────────────────────────────────


def hits_of(weights: Tensor, relation: Tensor) -> Tensor:
    """bool (batch, heads, query_len): the row's largest weight stands on a wanted column."""
    columns = weights.argmax(dim=-1, keepdim=True)
    return relation[:, None].expand_as(weights).gather(-1, columns).squeeze(-1)


def asked_of(relation: Tensor) -> Tensor:
    return relation.any(dim=-1).sum().clamp(min=1)


def by_sentence(weights: Tensor, relation: Tensor) -> Tensor:
    shares = hits_of(weights, relation).sum(dim=2) / relation.any(dim=-1).sum(dim=1)[:, None].clamp(min=1)
    return shares.mean(dim=0)


def over_columns(weights: Tensor, relation: Tensor) -> Tensor:
    rows = weights.argmax(dim=-2, keepdim=True)
    return relation[:, None].expand_as(weights).gather(-2, rows).sum(dim=(0, 2, 3)) / asked_of(relation)


def one_more(weights: Tensor, relation: Tensor) -> Tensor:
    moved = relation.roll(1, dims=-2)
    return hits_of(weights, moved).sum(dim=(0, 2)) / asked_of(relation)


def averaged_map(weights: Tensor, relation: Tensor) -> Tensor:
    mean = weights.mean(dim=1, keepdim=True).expand_as(weights)
    return hits_of(mean, relation).sum(dim=(0, 2)) / asked_of(relation)


FOUND = (
    Misconception(
        "weight in place of hits",
        lambda weights, relation: (weights * relation[:, None]).sum(dim=(0, 2, 3)) / asked_of(relation),
        "You give the mean weight on the wanted columns. That says how much; asked is how often: in which share of the "
        "rows the *largest* weight stands on a wanted column.",
    ),
    Misconception(
        "all rows counted",
        lambda weights, relation: hits_of(weights, relation).float().mean(dim=(0, 2)),
        "You divide by the number of all rows. Rows that want nothing cannot be a hit, so they must not count: divide "
        "by `relation.any(dim=-1).sum()`.",
    ),
    Misconception(
        "wanted cells counted",
        lambda weights, relation: hits_of(weights, relation).sum(dim=(0, 2)) / relation.sum().clamp(min=1),
        "You divide by the number of wanted cells. A row that would be content with either of two columns can be hit "
        "only once: count rows, `relation.any(dim=-1).sum()`.",
    ),
    Misconception(
        "hits not divided",
        lambda weights, relation: hits_of(weights, relation).sum(dim=(0, 2)).float(),
        "You return how many hits there are. Divide by the number of rows that want something.",
    ),
    Misconception(
        "mean over sentences",
        by_sentence,
        "You take the share of each sentence and average: a sentence with one such row then weighs as much as one "
        "with six. Count over all sentences, and divide once.",
    ),
    Misconception(
        "largest weight of a column",
        over_columns,
        "You look for the row that has the largest weight of each column (dim=-2). Each row is a query that divides "
        "its attention over the columns: `weights.argmax(dim=-1)`.",
    ),
    Misconception(
        "heads averaged first",
        averaged_map,
        "You average the heads' maps before you look, so that all heads get the same number. Each head has a largest "
        "weight of its own.",
    ),
    Misconception(
        "one share for all heads",
        lambda weights, relation: hits_of(weights, relation).sum() / (asked_of(relation) * weights.size(1)),
        "You return one number for all heads together. Asked for is one for each: sum over sentences and rows, and "
        "leave the heads' axis, `.sum(dim=(0, 2))`.",
    ),
    Misconception(
        "a share for each sentence",
        lambda weights, relation: (
            hits_of(weights, relation).sum(dim=2) / relation.any(dim=-1).sum(dim=1)[:, None].clamp(min=1)
        ),
        "You return a share for each sentence, (batch, heads). Sum the hits over the sentences too, and divide by all "
        "rows that want something.",
    ),
    Misconception(
        "one row below",
        one_more,
        "You read each row one too low: the row that wants something is row i, not row i + 1.",
    ),
    Misconception(
        "nothing divided by nothing",
        lambda weights, relation: hits_of(weights, relation).sum(dim=(0, 2)) / relation.any(dim=-1).sum(),
        "Right, but where no row wants anything: 0/0 is NaN. The share is 0 there; `.clamp(min=1)` on the number of "
        "rows sees to it.",
    ),
)
