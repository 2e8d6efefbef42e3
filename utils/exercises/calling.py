"""One call of an answer on one case, with whatever comes of it written down: nothing is raised from here."""

import copy
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from utils.exercises.declare import WATCHED, Case, Exercise
from utils.exercises.structure import leaves, tensors
from utils.exercises.surroundings import TooSlow, learner_lines, prints_caught, usual_state

# How what was changed is named, beside the inputs' own names. The last four are said of modules, FOLLOWED of tensors,
# too.
RANDOM_STATE, EVERYWHERE = "the random state", "the hooks of all modules"
MODE, HOOKS, FORWARD, FOLLOWED = ".training", ".hooks", ".forward", ".requires_grad"
OWN_WEIGHTS, OWN_MODE = "the module's own parameters", "the module's own mode"
EARLIER = "what an earlier call returned"
SHARED, GRAPH = "the memory of the inputs", "the graph behind the result"
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
    inputs = {name: tensor for name, tensor in _named_tensors(names) if tensor.is_floating_point()}
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
        own = _own_of(call)
        if case.earlier:
            earlier = tensors(_awaited_by_nobody(call(*copy.deepcopy(case.earlier))))
            kept = [tensor.detach().clone() for tensor in earlier]
        torch.default_generator.manual_seed(seed)  # a constructor may have drawn any number of random numbers
    if case.observe in WATCHED:
        with Largest() as watched:
            call(*arguments, **keywords)
        return Outcome(watched.numbers if case.observe == "largest" else sorted(watched.shapes))
    random_state, hooks = torch.get_rng_state(), _hooks_everywhere()
    results = [_python_numbers(_awaited_by_nobody(call(*arguments, **keywords))) for _ in range(case.times)]
    value = results[0] if case.times == 1 else results
    if case.changes:
        value = value, _weights_of({name: names[name] for name in case.changes})
    untouched = input_names(form, case)
    names, untouched = ({n: v for n, v in given.items() if n not in case.changes} for given in (names, untouched))
    damaged = _damaged(untouched, names)
    damaged += tuple(name for name in names if _grown(untouched[name], names[name]))
    if not case.gradients:  # else it is the check that asks for them
        asking = [name for name, tensor in _newly_followed(untouched, names) if name not in damaged]
        damaged += tuple(name + FOLLOWED for name in asking)
    if case.apart:
        damaged += _held_on_to(results, names.values())
    if _hooks_everywhere() != hooks:
        damaged += (EVERYWHERE,)
    if form.kind == "module":
        damaged += _own_damage(own, _own_of(call))
        if case.earlier and not all(map(_same_or_meta, kept, earlier)):
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


def _own_of(module: nn.Module) -> tuple[dict[str, Tensor], dict[str, bool]]:
    """A module's parameters as they are now, and the modes of all its parts."""
    parameters = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    return parameters, {name: part.training for name, part in module.named_modules()}


def _own_damage(before: tuple[dict, dict], after: tuple[dict, dict]) -> tuple[str, ...]:
    """What a call has changed of the module itself, and should not have: buffers are its own to change."""
    (had, modes), (has, modes_now) = before, after
    same = had.keys() == has.keys() and all(_same_or_meta(tensor, has[name]) for name, tensor in had.items())
    turned = any(modes_now.get(name, mode) != mode for name, mode in modes.items())
    return (() if same else (OWN_WEIGHTS,)) + ((OWN_MODE,) if turned else ())


def _same_or_meta(one: Tensor, other: Tensor) -> bool:
    return one.device.type == "meta" or same_bits(one, other)


def _weights_of(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """What modules have learnt by now, apart from them: {"model.table": …}."""
    held = [(f"{name}.{key}", value) for name, module in modules.items() for key, value in module.state_dict().items()]
    return {name: tensor.detach().clone() for name, tensor in held}


def _held_on_to(results: list, given: Iterable) -> tuple[str, ...]:
    """What results keep alive besides their own numbers."""
    memories = {tensor.untyped_storage().data_ptr() for value in given for tensor in tensors(value)}
    returned = [tensor for tensor in tensors(results) if tensor.layout == torch.strided]
    shared = any(tensor.numel() and tensor.untyped_storage().data_ptr() in memories for tensor in returned)
    graph = any(tensor.grad_fn is not None for tensor in returned)
    return (SHARED,) * shared + (GRAPH,) * graph


def _named_tensors(names: Mapping[str, Any]) -> list[tuple[str, Tensor]]:
    """The tensors among arguments: ("query", …), ("tokens[0]", …)."""
    return [(name + way, leaf) for name, value in names.items() for way, leaf in leaves(value) if _is_tensor(leaf)]


def _plain_leaves(value: Any) -> dict[str, Any]:
    """What lists and dictionaries hold besides tensors and modules, under the way to it."""
    return {way: leaf for way, leaf in leaves(value) if isinstance(leaf, int | float | str | None)}


def _grown(before: Any, after: Any) -> bool:
    """Whether lists and dictionaries hold other plain things than before, or more tensors."""
    had, has = (dict(_named_tensors({"": value})) for value in (before, after))
    return _plain_leaves(before) != _plain_leaves(after) or not has.keys() <= had.keys()


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


def _damaged(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of inputs that a call has changed: tensors, and the weights, buffers and modes of modules."""
    had, has = (dict([*_named_tensors(names), *_held_by_modules(names)]) for names in (before, after))
    return tuple(name for name, tensor in had.items() if name not in has or not same_bits(tensor, has[name]))


def _newly_followed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Tensor]]:
    """The tensors among arguments that ask for gradients and did not."""
    had = dict(_named_tensors(before))
    return [(n, t) for n, t in _named_tensors(after) if t.requires_grad and n in had and not had[n].requires_grad]


def _hooks_everywhere() -> int:
    """How many hooks there are that PyTorch calls for every module of every model."""
    return len(module_hooks._global_forward_hooks) + len(module_hooks._global_forward_pre_hooks)


def _held_by_modules(names: Mapping[str, Any]) -> list[tuple[str, Tensor]]:
    """What modules among arguments hold: ("model.table", …), and, of all modules within, their modes as
    ("model.training", …), how many hooks hang on them, whether `forward` is written over, which parameters learn.
    """
    held = []
    for name, value in names.items():
        for way, leaf in leaves(value):
            if isinstance(leaf, nn.Module):
                held += [(f"{name}{way}.{key}", part) for key, part in leaf.state_dict().items()]
                every = list(leaf.modules())
                held.append((name + way + MODE, torch.tensor([module.training for module in every])))
                held.append((name + way + HOOKS, torch.tensor([_hooks_of(module) for module in every])))
                held.append((name + way + FORWARD, torch.tensor(["forward" in vars(module) for module in every])))
                learning = [parameter.requires_grad for parameter in leaf.parameters()]
                held.append((name + way + FOLLOWED, torch.tensor(learning)))
    return held


def _hooks_of(module: nn.Module) -> int:
    kinds = module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks
    return sum(map(len, kinds))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether nothing about a tensor has changed; NaN equals itself."""
    if one.shape != other.shape or one.dtype != other.dtype or one.device != other.device:
        return False
    one, other = one.detach(), other.detach()
    same = one == other
    return bool((same | (one != one) & (other != other)).all())


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
    if way == 1 and _named_alike(own, weights):  # by order, layers that were exchanged would come right again
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


def _named_alike(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> bool:
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
