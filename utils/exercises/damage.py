"""In words: what a call has changed or holds on to, and should not."""

from collections.abc import Mapping
from typing import Any

from utils.exercises.calling import form_of, input_names
from utils.exercises.changes import (
    EARLIER,
    EVERYWHERE,
    FOLLOWED,
    FORWARD,
    GRAPH,
    HOOKS,
    MODE,
    OWN_MODE,
    OWN_WEIGHTS,
    RANDOM_STATE,
    SHARED,
)
from utils.exercises.declare import Case, Exercise

HELD = {  # what is said of a result that is right, by what it keeps alive
    SHARED: "You return the very tensors that were handed over, or views of them: whoever writes into what you return "
    "writes into those too. Make new ones; `.clone()` does.",
    GRAPH: "What you return still hangs on the graph that it was computed by: `.item()` makes a plain number of it.",
}
LEFT = {  # what is said of a module, by the end of the name of what was changed
    MODE: "Your code leaves `{}` in another mode, training or evaluation, than it was in: put it back at the end, or "
    "work on a copy (`copy.deepcopy`).",
    HOOKS: "Your code leaves other hooks on `{}` than it found there. Keep what `register_forward_hook` returns, and "
    "call `.remove()` on it at the end: on each of your own, and on no others.",
    FORWARD: "Your code leaves a `forward` in `{}` that it has written over, which goes on being called. Take it away "
    "at the end, hang a hook on the module and remove it, or work on a copy (`copy.deepcopy`).",
    FOLLOWED: "Your code leaves `requires_grad` of `{}` otherwise than it was. `x.detach().requires_grad_()` asks for "
    "gradients without touching `x`, and `torch.no_grad()` does without them for a while.",
}


def damage_done(exercise: Exercise, case: Case, damaged: tuple[str, ...]) -> str:
    """What a call has changed and should not have."""
    told = []
    ours = (RANDOM_STATE, EVERYWHERE, OWN_WEIGHTS, OWN_MODE, EARLIER)
    inputs = [name for name in damaged if name not in ours and not name.endswith(tuple(LEFT))]
    if inputs:
        names = " and ".join(f"`{name}`" for name in inputs)
        way_out = _way_out(input_names(form_of(exercise), case), inputs)
        told.append(f"Your code changes its input {names} in place. Whoever calls it still needs {way_out}")
    for name in damaged:
        told += [sentence.format(name.removesuffix(end)) for end, sentence in LEFT.items() if name.endswith(end)]
    if EVERYWHERE in damaged:
        told.append("Your code leaves a hook behind that is called for every module of every model: `.remove()` it.")
    if OWN_WEIGHTS in damaged:
        told.append(
            "After a call your module has other parameters than before it, by their numbers or by which there are. "
            "Calling a module leaves them alone: only an optimiser changes them. (`self.… = module` in `forward` makes "
            "that module a part of yours.)"
        )
    if EARLIER in damaged:
        told.append(
            "A second call of your module changes what the first has returned: it gives the same tensor each time, and "
            "writes into it. Return a new one."
        )
    if OWN_MODE in damaged:
        told.append(
            "Your module changes its own mode, training or evaluation, when it is called: that is for its user to "
            "say, with `.train()` and `.eval()`."
        )
    if RANDOM_STATE in damaged:
        told.append(
            "Your code leaves torch's random numbers elsewhere than it found them, so that a seeded run goes on "
            "otherwise after calling it: `with torch.random.fork_rng():` puts them back."
        )
    return " ".join(told)


def _way_out(given: Mapping[str, Any], changed: list[str]) -> str:
    if all(isinstance(given.get(name), list | dict) for name in changed):
        return "it as it was: work on a copy, or build a new list or dictionary."
    return (
        "that tensor: work on a copy, or use operations that return a new one (`masked_fill`, not `masked_fill_`; "
        "`x = x / y`, not `x /= y`)."
    )
