"""Chapter 04: multi-head attention (§3.2.2), and where the model uses it (§3.2.3)."""

from utils.exercises.chapter_04.attention import MODULE
from utils.exercises.chapter_04.beyond import COUNTS, GROUPED, TORCH_MASK
from utils.exercises.chapter_04.questions import QUESTIONS
from utils.exercises.chapter_04.splitting import JOIN, LOOP, SPLIT

TITLE = "Multi-head attention"
EXERCISES = (LOOP, SPLIT, JOIN, MODULE, COUNTS, TORCH_MASK, GROUPED)

__all__ = ["EXERCISES", "QUESTIONS", "TITLE"]
