"""Chapter 09: recurrent networks, and why self-attention (§1, §2, §4, Table 1)."""

from utils.exercises.chapter_09.cells import ONE_STEP, SEQUENCE
from utils.exercises.chapter_09.measuring import COSTS, GRADIENTS, RESTRICTED
from utils.exercises.chapter_09.questions import ASKED
from utils.exercises.chapter_09.translators import WITH_ATTENTION, WITHOUT_ATTENTION

TITLE = "Recurrent networks, and why self-attention"
EXERCISES = (ONE_STEP, SEQUENCE, WITHOUT_ATTENTION, WITH_ATTENTION, GRADIENTS, COSTS, RESTRICTED)
QUESTIONS = ASKED
