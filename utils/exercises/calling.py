"""One call of an answer on one case, with whatever comes of it written down: nothing is raised from here."""

import copy
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from utils.exercises.changes import (
    EARLIER,
    EVERYWHERE,
    FOLLOWED,
    RANDOM_STATE,
    damaged_inputs,
    grown,
    held_on_to,
    hooks_everywhere,
    named_tensors,
    newly_followed,
    own_damage,
    own_of,
    same_bits,
)
from utils.exercises.declare import WATCHED, Case, Exercise
from utils.exercises.structure import leaves, tensors
from utils.exercises.surroundings import TooSlow, learner_lines, prints_caught, usual_state

TURNED = 2  # the way of putting weights into a module that turns matrices over, and their gradients back


class Largest(TorchDispatchMode):
    """Watches how many numbers the largest tensor holds that comes into being, and which shapes there are."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0
        self.shapes: set[tuple[int, ...]] = set()

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        """Runs the operation and looks at what it gives."""
        result = operation(*arguments, **(keywords or {}))
        made = tensors(result)
        self.numbers = max([self.numbers, *(tensor.numel() for tensor in made)])
        self.shapes |= {tuple(tensor.shape) for tensor in made if tensor.is_floating_point()}
        return result


@dataclass(frozen=True)
class Trouble:
    """Why a call has no result."""

    kind: str  # "raised", "unwritten", "slow", "weights", "not a module"
    name: str  # the exception's class
    message: str
    lines: tuple[str, ...] = ()  # of the learner's code, innermost last


@dataclass(frozen=True)
class Outcome:
    """What one call gave."""

    value: Any = None
    trouble: Trouble | None = None
    damaged: tuple[str, ...] = ()  # inputs that differ after the call
    gradients: Mapping[str, Tensor | None] | None = None
    printed: str = ""


@dataclass(frozen=True)
class Form:
    """How an answer is called: all that a call needs of an exercise, and nothing of its reference. The grader sends
    it, with cases and weights, to where the learner's code runs.
    """

    kind: str
    signature: inspect.Signature  # of the function, or of the module's forward less self
    fills: tuple[Callable, ...] = ()


@cache
def form_of(exercise: Exercise) -> Form:
    """The form of an exercise's answers, read off its reference."""
    if exercise.kind == "function":
        return Form("function", inspect.signature(exercise.reference))
    forward = inspect.signature(exercise.reference.forward)
    return Form("module", forward.replace(parameters=list(forward.parameters.values())[1:]), exercise.fills)


def input_names(form: Form, case: Case) -> dict[str, Any]:
    """The case's arguments under the names that the reference gives them."""
    return dict(form.signature.bind(*case.arguments, **case.keywords).arguments)


def run_case(exercise: Exercise, answer: Callable, case: Case, seed: int, fill: int = 0) -> Outcome:
    """Calls the answer on copies of the case's inputs; as `call_answer`, with weights drawn for the reference."""
    weights = drawn_weights(exercise, case, seed) if exercise.kind == "module" and not case.own_weights else None
    return call_answer(form_of(exercise), answer, case, seed, weights, fill)


def call_answer(
    form: Form, answer: Callable, case: Case, seed: int, weights: dict[str, Tensor] | None = None, fill: int = 0
) -> Outcome:
    """Calls an answer on copies of a case's inputs. The same seed gives the same outcome.

    `weights` go into a module in the way numbered `fill` (see `_filled`).
    Raises TooSlow and KeyboardInterrupt, and nothing else that the answer raises.
    """
    usual_state(seed)
    with prints_caught() as printed:
        try:
            outcome = _called(form, answer, case, seed, weights, fill)
        except (TooSlow, KeyboardInterrupt):
            raise
        except NotImplementedError as error:
            outcome = Outcome(trouble=Trouble("unwritten", "NotImplementedError", _said(error)))
        except BaseException as error:
            trouble = Trouble("raised", type(error).__name__, _said(error), tuple(learner_lines(error)))
            outcome = Outcome(trouble=trouble)
    return replace(outcome, printed=printed.text)


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an exception class of the learner's own
        return ""


def _called(
    form: Form, answer: Callable, case: Case, seed: int, weights: dict[str, Tensor] | None, fill: int
) -> Outcome:
    arguments, keywords = copy.deepcopy((case.arguments, dict(case.keywords)))
    names = dict(form.signature.bind(*arguments, **keywords).arguments)
    inputs = {name: tensor for name, tensor in named_tensors(names) if tensor.is_floating_point()}
    if case.gradients:
        for tensor in inputs.values():
            tensor.requires_grad_()
    call, filled, shared = answer, {}, {}
    if form.kind == "module":
        build, build_keywords = copy.deepcopy((case.build, dict(case.build_keywords)))
        call = _awaited_by_nobody(answer(*build, **build_keywords))
        shared = _shared_parameters((*build, *build_keywords.values()))
        if not isinstance(call, nn.Module):
            return Outcome(trouble=Trouble("not a module", type(call).__name__, ""))
        call.train(case.training)
        filled = {} if weights is None else _filled(form, call, weights, fill)
        if filled is None:
            return Outcome(trouble=Trouble("weights", "", _unlike(call, weights)))
        if case.observe == "parameters":
            return Outcome([parameter.detach() for parameter in call.parameters()])
        if case.observe.startswith("."):
            kept = getattr(call, case.observe[1:])
            return Outcome(kept.detach().clone() if isinstance(kept, Tensor) else kept)
        own = own_of(call)
        if case.earlier:
            earlier = tensors(_awaited_by_nobody(call(*copy.deepcopy(case.earlier))))
            kept = [tensor.detach().clone() for tensor in earlier]
        torch.default_generator.manual_seed(seed)  # a constructor may have drawn any number of random numbers
    if case.observe in WATCHED:
        with Largest() as watched:
            call(*arguments, **keywords)
        return Outcome(watched.numbers if case.observe == "largest" else sorted(watched.shapes))
    random_state, hooks = torch.get_rng_state(), hooks_everywhere()
    results = [_python_numbers(_awaited_by_nobody(call(*arguments, **keywords))) for _ in range(case.times)]
    value = results[0] if case.times == 1 else results
    if case.changes:
        value = value, _weights_of({name: names[name] for name in case.changes})
    untouched = input_names(form, case)
    names, untouched = ({n: v for n, v in given.items() if n not in case.changes} for given in (names, untouched))
    damaged = damaged_inputs(untouched, names)
    damaged += tuple(name for name in names if grown(untouched[name], names[name]))
    if not case.gradients:  # else it is the check that asks for them
        asking = [name for name, tensor in newly_followed(untouched, names) if name not in damaged]
        damaged += tuple(name + FOLLOWED for name in asking)
    if case.apart:
        damaged += held_on_to(results, names.values())
    if hooks_everywhere() != hooks:
        damaged += (EVERYWHERE,)
    if form.kind == "module":
        damaged += own_damage(own, own_of(call))
        if case.earlier and not all(map(same_bits, kept, earlier)):
            damaged += (EARLIER,)
    if case.random_kept and not torch.equal(torch.get_rng_state(), random_state):
        damaged += (RANDOM_STATE,)
    gradients = None
    if case.gradients:
        gradients = _gradients(value, {**inputs, **filled, **shared}, seed)
        if fill == TURNED:
            found = {name: gradients[name] for name in filled if gradients[name] is not None}
            gradients |= {name: gradient.t() for name, gradient in found.items() if gradient.dim() == 2}
        gradients = _in_shape(gradients, weights or {})
        value = _detached(value)
    return Outcome(value, None, damaged, gradients)


def _in_shape(gradients: dict[str, Tensor | None], weights: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """The gradients of weights in the weights' own shapes, where the two differ in axes of size 1."""
    return {
        name: gradient.reshape(weights[name].shape)
        if gradient is not None and name in weights and _bare(gradient.shape) == _bare(weights[name].shape)
        else gradient
        for name, gradient in gradients.items()
    }


def _awaited_by_nobody(value: Any) -> Any:
    """A result; the coroutine of an async function is closed, or Python would complain of it elsewhere."""
    if inspect.iscoroutine(value):
        value.close()
    return value


def _python_numbers(value: Any) -> Any:
    """The value with NumPy's numbers and truth values in it as Python's own, which is all that can be sent to a grader;
    arrays stay.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or not any(isinstance(leaf, numpy.generic) for _, leaf in leaves(value)):
        return value
    if isinstance(value, numpy.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: _python_numbers(part) for key, part in value.items()}
    parts = [_python_numbers(part) for part in value]
    return parts if isinstance(value, list) else tuple(parts)


def _weights_of(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """What modules have learnt by now, apart from them: {"model.table": …}."""
    held = [(f"{name}.{key}", value) for name, module in modules.items() for key, value in module.state_dict().items()]
    return {name: tensor.detach().clone() for name, tensor in held}


def _shared_parameters(given: tuple) -> dict[str, Tensor]:
    """The parameters of modules that a constructor got, in lists too: ("TokenEmbedding.weight", …, "Residual 2.norm").
    What is made to share them sends its gradients there.
    """
    modules = [leaf for value in given for _, leaf in leaves(value) if isinstance(leaf, nn.Module)]
    shared: dict[str, Tensor] = {}
    for index, module in enumerate(modules):
        kind = type(module).__name__
        earlier = sum(type(other).__name__ == kind for other in modules[:index])
        label = f"{kind} {earlier + 1}" if earlier else kind
        shared |= {f"{label}.{name}": parameter for name, parameter in module.named_parameters()}
    return shared


def _gradients(value: Any, wanted: Mapping[str, Tensor], seed: int) -> dict[str, Tensor | None]:
    """The gradients of a random weighting of all floating-point results; None where none arrives."""
    generator = torch.Generator().manual_seed(seed)
    results = [tensor for tensor in tensors(value) if tensor.is_floating_point()]
    weighted = []
    for tensor in results:
        direction = torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor.dtype)
        weighted.append((tensor * direction).sum())
    total = sum(weighted)
    gradients: dict[str, Tensor | None] = dict.fromkeys(wanted)
    if not isinstance(total, Tensor) or not total.requires_grad:
        return gradients
    learning = {name: tensor for name, tensor in wanted.items() if tensor.requires_grad}  # the others get none
    found = torch.autograd.grad(total, list(learning.values()), allow_unused=True)
    return gradients | dict(zip(learning, found, strict=True))


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, list | tuple):
        parts = [_detached(part) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    return {key: _detached(part) for key, part in value.items()} if isinstance(value, Mapping) else value


def drawn_weights(exercise: Exercise, case: Case, seed: int) -> dict[str, Tensor]:
    """Weights for the reference of a module exercise, by parameter name: random, and none of them 0 or 1, since an
    answer that forgets a bias must not pass because biases start at zero.
    """
    usual_state(seed)
    module = exercise.reference(*copy.deepcopy(case.build), **copy.deepcopy(dict(case.build_keywords)))
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        if parameter.dim() >= 2:
            noise = noise / parameter.shape[-1] ** 0.5
        elif bool((parameter == 1).all()):  # a gain, which training may turn round
            noise = 1 + 0.3 * noise
            noise[:1] = -noise[:1]
        else:
            noise = 0.3 * noise
        weights[name] = noise.to(parameter.dtype)
    return weights


def fill_count(exercise: Exercise) -> int:
    """How many ways there are to put the reference's weights into an answer: the ones here and the exercise's own."""
    return 3 + len(exercise.fills) if exercise.kind == "module" else 1


def _filled(form: Form, module: nn.Module, weights: dict[str, Tensor], way: int) -> dict[str, Tensor] | None:
    """Puts the weights into the module. Way 0: by name, else by order within each shape; 1: by order within each
    shape, axes of size 1 not counted, unless all names are the reference's; 2: as 1 with matrices turned; from 3 on:
    the exercise's own, which return what this does.

    Returns which of the module's parameters got which weight, by the weight's name, or None where that is impossible.
    """
    if way >= 3:
        return form.fills[way - 3](module, weights)
    own = dict(module.named_parameters())
    if way == 1 and named_alike(own, weights):  # by order, layers that were exchanged would come right again
        return None
    turned = way == TURNED
    pairs = _of_that_name(own, weights) if way == 0 else None
    if pairs is None:
        pairs = _paired(list(own.values()), weights, turned)
    if pairs is None:
        return None
    with torch.no_grad():
        for name, parameter in pairs.items():
            weight = weights[name]
            parameter.copy_(weight.t() if turned and weight.dim() == 2 else weight.reshape(parameter.shape))
    return pairs


def named_alike(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> bool:
    """Whether a module's parameters have the reference's names and shapes, one for one: then the names decide."""
    shapes, asked = ({name: tensor.shape for name, tensor in given.items()} for given in (own, weights))
    return shapes == asked


def _of_that_name(own: dict[str, Tensor], weights: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """The parameter that has each weight's name and shape, in whatever part of the module; None when one is missing,
    or there are others.
    """
    pairs = {}
    for name, weight in weights.items():
        fitting = [key for key in own if key == name or key.endswith(f".{name}")]
        if len(fitting) != 1 or own[fitting[0]].shape != weight.shape:
            return None
        pairs[name] = own[fitting[0]]
    return pairs if len(own) == len(pairs) else None


def _paired(parameters: list[Tensor], weights: dict[str, Tensor], turned: bool) -> dict[str, Tensor] | None:
    """For each weight the next parameter of its shape, or None when they do not come out even."""
    left = list(parameters)
    pairs = {}
    for name, weight in weights.items():
        shape = weight.shape[::-1] if turned and weight.dim() == 2 else weight.shape
        fitting = next((index for index, parameter in enumerate(left) if parameter.shape == shape), None)
        if fitting is None and not turned:  # (1, max_len, d_model) for (max_len, d_model)
            fitting = next((index for index, p in enumerate(left) if _bare(p.shape) == _bare(shape)), None)
        if fitting is None:
            return None
        pairs[name] = left.pop(fitting)
    return None if left else pairs


def _bare(shape: torch.Size) -> list[int]:
    """A shape without its axes of size 1."""
    return [length for length in shape if length != 1]


def _unlike(module: nn.Module, weights: dict[str, Tensor]) -> str:
    """What the learner's parameters are, beside what they should be."""
    have = ", ".join(f"{name} {tuple(p.shape)}" for name, p in module.named_parameters()) or "none"
    want = ", ".join(f"{name} {tuple(weight.shape)}" for name, weight in weights.items()) or "none"
    return f"Your module has the parameters {have}; what is asked for has {want}."
