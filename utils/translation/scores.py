"""The scores that are reported: BLEU and chrF by sacreBLEU, with the signatures that make them comparable."""

from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics import BLEU, CHRF

from utils.errors import CourseError


@dataclass(frozen=True)
class Scores:
    """BLEU and chrF from 0 to 100, each with its signature (Post 2018)."""

    bleu: float
    bleu_signature: str
    chrf: float
    chrf_signature: str


def score(hypotheses: Sequence[str], references: Sequence[str], lowercase: bool = False) -> Scores:
    """Corpus scores of hypotheses against one reference each. Raises CourseError when their numbers differ."""
    check_pairs(hypotheses, references)
    bleu, chrf = BLEU(lowercase=lowercase), CHRF(lowercase=lowercase)
    bleu_score = bleu.corpus_score(hypotheses, [references]).score
    chrf_score = chrf.corpus_score(hypotheses, [references]).score
    return Scores(bleu_score, str(bleu.get_signature()), chrf_score, str(chrf.get_signature()))


def check_pairs(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    """Raises CourseError, in words, unless there is one reference for each hypothesis, and at least one."""
    for name, texts in (("hypotheses", hypotheses), ("references", references)):
        if isinstance(texts, str):
            raise CourseError(f"The {name} are one string: give a list of sentences, even for a single one.")
    if len(hypotheses) != len(references):
        raise CourseError(
            f"There are {len(hypotheses)} hypotheses and {len(references)} references: "
            f"each translation is compared with exactly one reference."
        )
    if not hypotheses:
        raise CourseError("There is nothing to score: give at least one hypothesis and its reference.")
