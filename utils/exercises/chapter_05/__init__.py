"""Chapter 05: the feed-forward network (§3.3), residual connections and layer norm (§3.1), dropout (§5.4)."""

from utils.exercises.chapter_05.feed_forward import CONVOLUTIONS, FEED_FORWARD_MODULE
from utils.exercises.chapter_05.layer_norm import GRADIENT, LAYER_NORM_MODULE
from utils.exercises.chapter_05.questions import QUESTIONS
from utils.exercises.chapter_05.residual import RESIDUAL_MODULE
from utils.exercises.chapter_05.since import RMS_NORM_MODULE, SWIGLU_MODULE

TITLE = "Feed-forward, residual, layer norm"
EXERCISES = (
    LAYER_NORM_MODULE, GRADIENT, FEED_FORWARD_MODULE, CONVOLUTIONS, RESIDUAL_MODULE, RMS_NORM_MODULE, SWIGLU_MODULE,
)  # fmt: skip
__all__ = ["EXERCISES", "QUESTIONS", "TITLE"]
