"""The embedded corpus: a synchronous English–German grammar with gold alignments, parse trees and a distance knob.

English and German are built from one abstract structure, so that word alignment and trees come from construction, and
every English sentence has exactly one German translation.

    corpus = embedded_corpus()                      # .train .valid .test .long, tuples of Pair
    far = generate("verb-prefix", distance=12, count=100)
    describe(corpus)
"""

from utils.text.grammar.corpus import EmbeddedCorpus, describe, embedded_corpus
from utils.text.grammar.distance import KINDS, generate
from utils.text.grammar.labels import PHENOMENA
from utils.text.grammar.pairs import Pair, Span
from utils.text.grammar.surface import detokenise, tokenise
from utils.text.grammar.trees import Tree

__all__ = [
    "KINDS",
    "PHENOMENA",
    "EmbeddedCorpus",
    "Pair",
    "Span",
    "Tree",
    "describe",
    "detokenise",
    "embedded_corpus",
    "generate",
    "tokenise",
]
