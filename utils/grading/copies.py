"""Answers that are alike beyond chance, for a person to look at: never punished, since two people can think the same.

Compared are syntax trees without docstrings and annotations, once with the names as they are and once with local names
replaced by their order, so that renaming variables hides nothing.
"""

import ast
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from utils.grading.matching import Answer
from utils.grading.neutral import parsed
from utils.grading.pristine import Pristine

LONG, LONGER = 6, 8  # statements from which equal trees, and trees equal but for names, are worth a look


def prints(source: str, name: str) -> dict[str, str | int]:
    """What an answer is compared by: {"letter": …, "shape": …, "statements": …}; empty where it defines nothing."""
    tree = parsed(source)
    nodes = [node for node in tree.body if getattr(node, "name", None) == name] if tree else []
    if not nodes:
        return {}
    node = _Bare().visit(ast.parse(ast.unparse(nodes[-1]))).body[0]
    statements = sum(isinstance(part, ast.stmt) for part in ast.walk(node)) - 1
    letter = ast.dump(node)
    shape = ast.dump(_Renamed().visit(node))
    return {"letter": _digest(letter), "shape": _digest(shape), "statements": statements}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Bare(ast.NodeTransformer):
    """Takes away what is handed out or says nothing."""

    def visit_Expr(self, node: ast.Expr):
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef):
        node.returns = None
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_arg(self, node: ast.arg):
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign):
        return ast.Assign([node.target], node.value, lineno=node.lineno) if node.value else None


class _Renamed(ast.NodeTransformer):
    """Replaces each local name by its number."""

    def __init__(self) -> None:
        self.numbers: dict[str, str] = {}

    def _number(self, name: str) -> str:
        return self.numbers.setdefault(name, f"n{len(self.numbers)}")

    def visit_arg(self, node: ast.arg):
        return ast.arg(self._number(node.arg))

    def visit_Name(self, node: ast.Name):
        known = node.id in self.numbers or isinstance(node.ctx, ast.Store)
        return ast.Name(self._number(node.id), node.ctx) if known else node


def answer_prints(answers: Sequence[Answer]) -> dict[str, dict]:
    """Of every answer of a submission, by exercise."""
    return {a.number: found for a in answers if a.state == "there" and (found := prints(a.source, a.name))}


def like_solution(found: Mapping[str, dict], chapter: Pristine) -> list[str]:
    """Sentences on answers that are the course's solution."""
    sentences = []
    for number, mine in found.items():
        solved = prints(chapter.solutions.get(number, ""), chapter.names[number])
        if solved and mine["letter"] == solved["letter"] and mine["statements"] >= LONG:
            sentences.append(f"{number} is the course's solution, to the letter")
        elif solved and mine["shape"] == solved["shape"] and mine["statements"] >= LONGER:
            sentences.append(f"{number} is the course's solution but for its names")
    return sentences


def alike(prints_of: Mapping[str, Mapping[str, dict]], solved: Mapping[str, dict]) -> dict[str, list[str]]:
    """learner → sentences on answers that equal another learner's. `solved`: the solutions' own prints, since who has
    those has copied from the course.
    """
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for learner, found in prints_of.items():
        for number, mine in found.items():
            if mine["statements"] >= LONG:
                groups[number, "to the letter", mine["letter"]].append(learner)
            if mine["statements"] >= LONGER:
                groups[number, "but for names", mine["shape"]].append(learner)
    sentences: dict[str, list[str]] = defaultdict(list)
    told: set[tuple[str, str]] = set()
    for (number, how, digest), learners in sorted(groups.items(), key=lambda item: item[0][1] != "to the letter"):
        kind = "letter" if how == "to the letter" else "shape"
        if len(learners) < 2 or solved.get(number, {}).get(kind) == digest:
            continue
        for learner in learners:
            if (learner, number) not in told:
                told.add((learner, number))
                alike = sorted(set(learners) - {learner})
                others = ", ".join(alike[:5]) + (f" and {len(alike) - 5} more" if len(alike) > 5 else "")
                sentences[learner].append(f"{number} equals, {how}, the answer of {others}")
    return dict(sentences)
