"""The errors that a person reads.

Everything that can go wrong through a file, a value or a machine is raised as a
`CourseError`: one sentence that names the thing and the way out. The command line prints the sentence alone;
a traceback is left for our own bugs.
"""


class CourseError(Exception):
    """One sentence for a person: what is wrong, where, and what to do."""


class ShapeError(CourseError, ValueError):
    """Tensors whose widths or lengths do not fit together."""


class ConfigError(CourseError, ValueError):
    """A setting with a value that cannot work; the sentence lists the good ones."""


class DataError(CourseError):
    """A corpus, a lexicon or a text that cannot be read; names file and line."""


class CheckpointError(CourseError):
    """A run folder or checkpoint that is missing, damaged or of another model."""
