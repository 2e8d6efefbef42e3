"""Chapter 08: translating (greedy, beam, length penalty, cache) and scoring (BLEU), and what training cost (§6.1)."""

from utils.exercises.chapter_08.caching import CACHE
from utils.exercises.chapter_08.questions import QUESTIONS
from utils.exercises.chapter_08.scoring import CORPUS_BLEU, COST, MATCHING
from utils.exercises.chapter_08.searching import DECODE, LENGTH_PENALTY, STEP

TITLE = "Translating and scoring"
EXERCISES = (DECODE, LENGTH_PENALTY, STEP, CACHE, MATCHING, CORPUS_BLEU, COST)
__all__ = ["EXERCISES", "QUESTIONS", "TITLE"]
