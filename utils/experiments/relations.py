"""What the grammar knows of its sentences, as cells of attention maps: word alignments, and words that belong together.

Rows are queries. In the decoder and in the attention to the source, a row is that which writes a word.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from utils.text.grammar import Pair, Tree

KINDS = ("encoder", "decoder", "cross")
RELATIONS = ("verb", "noun", "prefix")
SIDES = {"encoder": ("source", "source"), "decoder": ("target", "target"), "cross": ("target", "source")}


def is_word(token: str) -> bool:
    """No comma, no full stop."""
    return any(letter.isalnum() for letter in token)


def gold_links(pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """(sure, possible): bool (batch, target_len, source_len), with a row and a column for END, padded with False.

    Possible are all links between words. Sure are those in which neither word has another link.
    """
    sure, possible = _blank(pairs), _blank(pairs)
    for number, pair in enumerate(pairs):
        links = [(t, s) for s, t in pair.alignment if is_word(pair.target_tokens[t]) and is_word(pair.source_tokens[s])]
        rows, columns = [t for t, _ in links], [s for _, s in links]
        for row, column in links:
            possible[number, row, column] = True
            sure[number, row, column] = rows.count(row) == columns.count(column) == 1
    return sure, possible


def _blank(pairs: Sequence[Pair], rows: str = "target", columns: str = "source") -> Tensor:
    lengths = {
        "target": max(len(pair.target_tokens) for pair in pairs) + 1,
        "source": max(len(pair.source_tokens) for pair in pairs) + 1,
    }
    return torch.zeros(len(pairs), lengths[rows], lengths[columns], dtype=torch.bool)


def related(pair: Pair, kind: str, relation: str) -> list[tuple[int, int]]:
    """(row, column) cells that a head of this kind finds when it follows a relation; rows are queries.

    relation "verb": a subject's row → its verb (encoder), a verb's row → its subject (decoder, cross);
    "noun": an article's row → its noun (encoder, cross), a noun's row → its article (decoder);
    "prefix": a particle's or prefix's row → its verb. In the decoder and in cross, the row is that which writes the
    word; the decoder's own words stand one column later, behind BEGIN.
    """
    if kind == "encoder":
        return _english_relations(pair)[relation]
    partners: dict[int, list[int]] = {}
    for column, row in pair.alignment:
        partners.setdefault(row, []).append(column)
    tags = _tags(pair.target_tree)
    cells = []
    for span in pair.spans:
        row, other = span.second, span.first
        if span.kind == "subject-verb" and relation == "verb":
            if kind == "cross":  # a verb before its subject is as good: the source is seen as a whole
                row, other = (row, other) if tags[row].startswith("V") else (other, row)
            elif not tags[row].startswith("V"):
                continue  # the subject follows its verb
        elif span.kind == "article-noun" and relation == "noun":
            row, other = (other, row) if kind == "cross" else (row, other)
        elif not (span.kind == "verb-prefix" and relation == "prefix"):
            continue
        cells += [(row, other + 1)] if kind == "decoder" else [(row, column) for column in partners.get(other, ())]
    return cells


def _english_relations(pair: Pair) -> dict[str, list[tuple[int, int]]]:
    partners: dict[int, set[int]] = {}
    for column, row in pair.alignment:
        partners.setdefault(column, set()).add(row)
    cells: dict[str, list[tuple[int, int]]] = {relation: [] for relation in RELATIONS}
    for label, children in _phrases(pair.source_tree, 0):
        tags = [(tag, start) for tag, start, is_leaf in children if is_leaf]
        nouns = [start for tag, start in tags if tag in ("NN", "NNS")]
        verbs = [start for tag, start in tags if tag[:2] in ("VB", "MD")]
        if label == "NP" and nouns:
            cells["noun"] += [(start, nouns[0]) for tag, start in tags if tag in ("DT", "PRP$")]
        if label == "VP" and verbs:
            for tag, start in tags:
                if tag in ("RB", "RP") and partners.get(start) and partners[start] == partners.get(verbs[0]):
                    cells["prefix"].append((start, verbs[0]))
    cells["verb"] = _subjects(pair.source_tree, 0)
    return cells


def _phrases(tree: Tree, start: int) -> Iterator[tuple[str, list[tuple[str, int, bool]]]]:
    """(label, [(label of child, its first token, whether it is a word), …]) of each phrase."""
    children, at = [], start
    for child in tree.children:
        is_leaf = isinstance(child.children[0], str)
        children.append((child.label, at, is_leaf))
        if not is_leaf:
            yield from _phrases(child, at)
        at += len(child.leaves())
    yield tree.label, children


def _subjects(tree: Tree, start: int) -> list[tuple[int, int]]:
    """(head of a subject, its finite verb) for each S that says NP … VP."""
    cells, at, subject = [], start, None
    for child in tree.children:
        if isinstance(child.children[0], str):
            at += 1
            continue
        if tree.label == "S" and child.label == "NP":
            subject = _first_tag(child, at, ("NN", "NNS", "NNP", "PRP"))
        if tree.label == "S" and child.label == "VP" and subject is not None:
            verb = _first_tag(child, at, ("VBZ", "VBP", "VBD", "MD"))
            cells += [(subject, verb)] if verb is not None else []
        cells += _subjects(child, at)
        at += len(child.leaves())
    return cells


def _first_tag(phrase: Tree, start: int, tags: tuple[str, ...]) -> int | None:
    """Where the first word with one of these tags stands among a phrase's own children."""
    at = start
    for child in phrase.children:
        if child.label in tags:
            return at
        at += len(child.leaves())
    return None


def _tags(tree: Tree) -> list[str]:
    if isinstance(tree.children[0], str):
        return [tree.label]
    return [tag for child in tree.children for tag in _tags(child)]


def relation_cells(pairs: Sequence[Pair], kind: str, relation: str) -> Tensor:
    """bool (batch, query_len, key_len): True where `related` says so, padded to the size of the maps."""
    cells = _blank(pairs, *SIDES[kind])  # a decoder map has as many columns as rows: BEGIN takes the place of END
    for number, pair in enumerate(pairs):
        for row, column in related(pair, kind, relation):
            cells[number, row, column] = True
    return cells


# controls ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def same_place(pairs: Sequence[Pair], kind: str = "cross") -> Tensor:
    """(batch, query_len): the column at the same place as each row; 0 for padding.

    In the attention to the source the same place is as far along in the source as the row is in the target. In the
    decoder it is the column of the word being written itself, which no head can see.
    """
    rows, columns = SIDES[kind]
    places = torch.zeros(_blank(pairs, rows, columns).shape[:2], dtype=torch.long)
    for number, pair in enumerate(pairs):
        row_end, column_end = (len(getattr(pair, f"{side}_tokens")) - 1 for side in (rows, columns))
        for row in range(row_end + 1):
            places[number, row] = round(row / row_end * column_end) + (kind == "decoder")
    return places


def offset_map(pairs: Sequence[Pair], kind: str = "cross", offset: int = 0) -> Tensor:
    """Weights (batch, query_len, key_len) of a head that looks at the same place, moved by `offset`."""
    width = _blank(pairs, *SIDES[kind]).size(2)
    places = (same_place(pairs, kind) + offset).clamp(0, width - 1)
    return torch.nn.functional.one_hot(places, width).float()


def best_offset(pairs: Sequence[Pair], kind: str, relation: str, reach: int = 8) -> int:
    """The fixed offset that finds a relation most often in these pairs."""
    cells, places = relation_cells(pairs, kind, relation), same_place(pairs, kind)
    width = cells.size(2)
    moved = {by: (places + by).clamp(0, width - 1) for by in range(-reach, reach + 1)}
    hits = {by: int(cells.gather(-1, at[..., None]).sum()) for by, at in moved.items()}
    return max(hits, key=hits.get)
