"""Translating with a trained model, and scoring what comes out. Imports utils/transformer and nothing above."""

from utils.translation.beam import Hypothesis, beam_search
from utils.translation.bleu import BleuScore, corpus_bleu
from utils.translation.greedy import greedy
from utils.translation.scores import Scores, score
from utils.translation.translate import translate, translate_ids

__all__ = [
    "BleuScore", "Hypothesis", "Scores",
    "beam_search", "corpus_bleu", "greedy", "score", "translate", "translate_ids",
]  # fmt: skip
