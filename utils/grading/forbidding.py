"""What an exercise forbids, and what a person should look at: read from the source, without running it.

A rule, not a proof: numbers that a library has computed are right. Names are followed through imports and plain
assignments among the modules that are loaded anyway, never by executing or importing anything.
"""

import ast
import re
import sys
from typing import Any

from torch import Generator

from utils.exercises.declare import Exercise
from utils.exercises.rules import forbidden_among, member
from utils.exercises.source import Definition
from utils.grading.matching import Answer
from utils.grading.neutral import parsed

LIBRARIES = ("torch", "math", "numpy")  # whose modules are looked into
# Names that no exercise needs, and that a try to look behind the grader does.
SUSPICIOUS = {
    "graders_own": "it names the grader's own modules",
    "user_ns": "it reaches for the notebook's namespace from outside",
    "input_transformers_post": "it changes what cells are turned into",
    "input_transformers_cleanup": "it changes what cells are turned into",
    "publish_display_data": "it sends outputs of its own making",
    "display_pub": "it sends outputs of its own making",
    "_getframe": "it looks into the frames of its callers",
    "get_objects": "it searches the memory",
    "get_referrers": "it searches the memory",
    "f_back": "it looks into the frames of its callers",
    "settrace": "it traces its callers",
    "TorchDispatchMode": "it touches how tensors' sizes are watched",
    "_get_current_dispatch_mode_stack": "it touches how tensors' sizes are watched",
    "Largest": "it touches how tensors' sizes are watched",
    "calling": "it touches how answers are called",
    "call_answer": "it touches how answers are called",
    "modules": "it looks up modules by itself",
    "__globals__": "it looks into other functions' names",
    "ctypes": "it calls the system by itself",
    "__subclasses__": "it searches the memory",
}
# Ways to compute that the watching of tensors' sizes does not see.
UNWATCHED = (
    "threading",
    "Thread",
    "ThreadPoolExecutor",
    "concurrent",
    "multiprocessing",
    "numpy",
    "from_numpy",
    "vmap",
)
# What torch carries out goes unseen behind these, so that an exercise that forbids something does not take them.
HIDING = (
    "DisableTorchFunction",
    "DisableTorchFunctionSubclass",
    "_disable_current_modes",
    "_pop_mode",
    "_pop_mode_temporarily",
    "_unset_dispatch_mode",
    "graders_own",
    "subprocess",
    "fork",
    "threading",
    "Thread",
    "_thread",
    "ThreadPool",
    "ThreadPoolExecutor",
    "concurrent",
    "multiprocessing",
    "eval",
    "exec",
    "__import__",
    "import_module",
    "__builtins__",
)
# Words that are a name like any other, unless they are an attribute's or a module's.
EVERYDAY = ("modules", "calling", "Largest", "concurrent", "fork")
EVALUATED = {"eval", "exec"}  # model.eval() is no eval()
DYNAMIC = ("eval", "exec", "__import__", "import_module")  # what reading names is blind behind


def code_of(answer: Answer) -> str:
    """All the code that an exercise's answer is made of."""
    return "\n\n".join([*(fragment.text for fragment in answer.helpers), answer.source])


def forbidden_use(exercise: Exercise, answer: Answer) -> str | None:
    """A sentence when the answer, or a helper that it reaches, calls what the exercise is about."""
    tree = parsed(code_of(answer)) if exercise.forbidden else None
    if tree is None:
        return None
    names: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= _imported(node)
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            meant = _meant(node.value, names)
            names |= {node.targets[0].id: meant} if meant is not None else {}
    definitions = [_definition(node, names) for node in _reached(tree, answer.name)]
    return forbidden_among(exercise, definitions)


def hidden_use(exercise: Exercise, answer: Answer) -> str | None:
    """A sentence on code that torch could be called behind without anybody's seeing it, where that matters."""
    tree = parsed(code_of(answer)) if exercise.forbidden else None
    used = set()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Name):
            used |= {node.id} - set(EVERYDAY)
        elif isinstance(node, ast.Attribute):
            used |= {node.attr} - EVALUATED
        elif isinstance(node, ast.alias):
            used |= set(node.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            used |= set((node.module or "").split("."))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            used |= {node.value} - EVALUATED - set(EVERYDAY)
    name = next((name for name in HIDING if name in used), None)
    return name and (
        f"Your code uses `{name}`, behind which a library could do the work unseen, and this exercise is about "
        "writing it out: write it with torch's operations alone."
    )


def _definition(node: ast.stmt, names: dict[str, Any]) -> Definition:
    name = getattr(node, "name", "") or ast.unparse(node).split("\n")[0][:40]
    return Definition(None, name, ast.unparse(node), node.lineno, node, names, True)


def _reached(tree: ast.Module, name: str) -> list[ast.stmt]:
    """The statements that define a name, and those that define what these read."""
    from utils.grading.gather import names_read
    from utils.grading.slicing import bound_names

    binds = [(node, set(bound_names(node)) | _rooted(node)) for node in tree.body]
    found: list[ast.stmt] = []
    waiting, seen = [name], set()
    while waiting:
        wanted = waiting.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        for node, bound in binds:
            if wanted in bound and node not in found and not isinstance(node, ast.Import | ast.ImportFrom):
                found.append(node)
                waiting += names_read(ast.unparse(node))
    return sorted(found, key=lambda node: node.lineno)


def _rooted(node: ast.stmt) -> set[str]:
    """`Layer.forward = …` belongs to Layer."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    found = set()
    for target in targets:
        while isinstance(target, ast.Attribute | ast.Subscript):
            target = target.value
        if isinstance(target, ast.Name):
            found.add(target.id)
    return found


def _imported(node: ast.Import | ast.ImportFrom) -> dict[str, Any]:
    found = {}
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            if node.module and not node.level and node.module.partition(".")[0] in LIBRARIES:
                found[alias.asname or alias.name] = member(sys.modules.get(node.module), alias.name)
        elif alias.name.partition(".")[0] in LIBRARIES:
            meant = alias.name if alias.asname else alias.name.partition(".")[0]
            found[alias.asname or meant] = sys.modules.get(meant)
    found.setdefault("torch", sys.modules.get("torch"))
    return {name: value for name, value in found.items() if value is not None}


def _meant(node: ast.expr, names: dict[str, Any]) -> Any:
    """What a dotted name stands for; None where that cannot be told."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return member(_meant(node.value, names), node.attr)
    return None


def suspicions(exercise: Exercise, answer: Answer) -> list[str]:
    """What a person should look at in the code."""
    tree = parsed(code_of(answer))
    if tree is None:
        return []
    used = _used(tree)
    found = [f"{reason} (`{name}`)" for name, reason in SUSPICIOUS.items() if name in used]
    if _sizes_are_watched(exercise):
        found += [
            f"it may compute where tensors' sizes are not watched (`{name}`)" for name in UNWATCHED if name in used
        ]
    if exercise.forbidden:
        found += [f"it hides what it calls (`{name}`)" for name in DYNAMIC if name in used]
    return found


def _used(tree: ast.Module) -> set[str]:
    """The names that code uses: variables, attributes, imports, and words in short texts."""
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used |= {node.id} - set(EVERYDAY)
        elif isinstance(node, ast.Attribute):
            used |= {node.attr} - EVALUATED
        elif isinstance(node, ast.alias):
            used |= set(node.name.split("."))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 60:
            used |= {node.value, *re.split(r"\W+", node.value)} - (set(EVERYDAY) - {node.value}) - EVALUATED
    return used


def _sizes_are_watched(exercise: Exercise) -> bool:
    """Whether a property looks at the largest tensor of a call."""
    drawn = (case for declared in exercise.properties for case in declared.draw(Generator().manual_seed(0)))
    return any(case.observe == "largest" for case in drawn)
