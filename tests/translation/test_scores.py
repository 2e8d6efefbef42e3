"""Scores are sacreBLEU's, with the signatures that say how they were made."""

import pytest
import sacrebleu

from utils.errors import CourseError
from utils.translation import score

HYPOTHESES = ["The cat sat on a mat.", "A dog runs across the green field"]
REFERENCES = ["The cat sat on the mat.", "a dog is running across the green field ."]


@pytest.mark.parametrize("lowercase", [False, True])
def test_scores_are_sacrebleus(lowercase):
    scores = score(HYPOTHESES, REFERENCES, lowercase)
    assert scores.bleu == sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES], lowercase=lowercase).score
    lowered = [text.lower() if lowercase else text for text in HYPOTHESES]
    expected = sacrebleu.corpus_chrf(lowered, [[r.lower() if lowercase else r for r in REFERENCES]]).score
    assert scores.chrf == pytest.approx(expected)
    case = "lc" if lowercase else "mixed"
    assert scores.bleu_signature == f"nrefs:1|case:{case}|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"
    assert scores.chrf_signature.startswith(f"nrefs:1|case:{case}|eff:yes|nc:6|nw:0")


def test_empty_hypotheses_score_nothing():
    assert (score(["", ""], REFERENCES).bleu, score(["", ""], REFERENCES).chrf) == (0, 0)


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        (["a"], ["a", "b"], "1 hypotheses and 2 references"),
        ([], [], "nothing to score"),
        ("abc", ["a", "b", "c"], "hypotheses are one string"),
        (["a"], "a", "references are one string"),
    ],
)
def test_what_cannot_be_scored_is_said(hypotheses, references, message):
    with pytest.raises(CourseError, match=message):
        score(hypotheses, references)
