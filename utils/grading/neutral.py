"""A learner's code made fit to be run by the grader: no magics, no shell lines, no orders to nbval."""

import ast
import re
from functools import lru_cache

MARKERS = ("PYTEST_VALIDATE_IGNORE_OUTPUT", "NBVAL_IGNORE_OUTPUT", "NBVAL_CHECK_OUTPUT", "NBVAL_RAISES_EXCEPTION")
ORDER = re.compile(rf"^([^\S\n]*)#+[^\S\n]*({'|'.join((*MARKERS, 'NBVAL_SKIP'))})\b.*$", re.MULTILINE)
BODY_IS_PYTHON = re.compile(r"^%%(time|timeit|capture|prun)\b[^\n]*")
IPYTHONS = re.compile(
    r"get_ipython\(\)\.(run_line_magic|run_cell_magic|system|getoutput|run_line|magic|set_next_input)\(.*\)"
    r"|get_ipython\(\)\.(system|getoutput)\(.*\)"
)


LONGEST = 500_000  # characters of one cell
DEEPEST = 120  # levels of a syntax tree
KEPT = 128  # sources whose trees are remembered: a cell is looked at from many sides
MOST_WORK = 500_000  # lines that may be IPython's own × characters: it reads the whole cell anew for each of them
OWN_LINE = re.compile(r"^([^\S\n]*)[%!][^\n]*|^([^\S\n]*)\??[\w.%]+\?{1,2}[^\S\n]*$", re.MULTILINE)


@lru_cache(maxsize=KEPT)
def neutral(source: str) -> str:
    """The source with the same lines, in which what is IPython's own does nothing."""
    source = ORDER.sub(r"\1#", source)
    if parsed(source) is not None:
        return source
    stripped = source.lstrip("\n")
    if stripped.startswith("%%"):
        if not BODY_IS_PYTHON.match(stripped):
            return ""  # a cell of another language
        source = "\n" * (len(source) - len(stripped)) + BODY_IS_PYTHON.sub("#", stripped, count=1)
        if parsed(source) is not None:
            return source
    transformed = _without_ipython(source)
    return transformed if parsed(transformed) is not None else source


def _without_ipython(source: str) -> str:
    from IPython.core.inputtransformer2 import TransformerManager

    own = len(OWN_LINE.findall(source)) + source.count("!")
    if own * len(source) > MOST_WORK:  # nobody writes that many: line by line, even where a string runs over lines
        return OWN_LINE.sub(r"\1\2None", source)
    try:
        text = TransformerManager().transform_cell(source)
    except Exception:  # its tokenizer gives up on much that is no Python
        text = source
    return IPYTHONS.sub("None", text).rstrip("\n")


@lru_cache(maxsize=KEPT)
def parsed(source: str) -> ast.Module | None:
    """The syntax tree of a cell; None where it is no Python, or none that a person writes. `await` at the top is
    allowed, as in a notebook. Whoever asks again gets the same tree, so nobody may change it.
    """
    if len(source) > LONGEST:
        return None
    try:
        flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree = compile(source, "<cell>", "exec", flags=flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if _is_shallow(tree) else None


def _is_shallow(tree: ast.AST) -> bool:
    """Whether a tree can be walked by recursion: no person nests as deeply as that takes."""
    level = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return True
    return False


def why_not_parsed(source: str) -> str:
    """The complaint about a cell that is no Python."""
    try:
        ast.parse(source)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return type(error).__name__
    return "it is too long or nested too deeply to be read"
