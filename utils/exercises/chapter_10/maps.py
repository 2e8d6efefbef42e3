"""Exercise 10.1: the attention maps of a model, taken while it runs."""

from torch import Generator

from utils.exercises.chapter_10.models import sentences, small_model, watch
from utils.exercises.chapter_10.references import maps_of
from utils.exercises.chapter_10.words import EDGE, MASK
from utils.exercises.chapter_10.wrong_maps import MAPS
from utils.exercises.declare import Case, Exercise
from utils.transformer.masks import BEGIN


def _cases(generator: Generator) -> list[Case]:
    def case(
        name, which, sources, targets, layers=2, heads=2, training=False, dropout=0.0, watched=False, **options
    ) -> Case:
        model = small_model(generator, layers, heads, dropout).train(training)
        if watched:
            watch(model)
        target = sentences(generator, targets)
        target[:, 0] = BEGIN
        return Case(name, (model, sentences(generator, sources), target, which), **options)

    return [
        case("the attention to the source", "cross", [4, 4], [3, 3]),
        case("the encoder", "encoder", [4, 4], [3, 3]),
        case("the decoder's self-attention", "decoder", [4, 4], [3, 3]),
        case("source and target of equal length, decoder", "decoder", [4], [4]),
        case("three layers, four heads, encoder", "encoder", [5], [4], 3, 4),
        case("padding in the source", "cross", [5, 2], [3, 3], part=MASK),
        case(
            "a model in training mode, with dropout",
            "cross",
            [4, 4],
            [3, 3],
            training=True,
            dropout=0.4,
            part="property",
        ),
        case("somebody else's hooks are there already", "cross", [4], [3], watched=True, part="property"),
        case("one layer, one head, one word", "encoder", [1], [1], 1, 1, part=EDGE),
    ]


MAPS_OF = Exercise(
    number="10.1",
    title="Take the maps out of a model",
    points=3,
    difficulty=3,
    minutes=25,
    section="§3.2.3",
    reference=maps_of,
    cases=_cases,
    returns=("maps",),
    misconceptions=MAPS,
    hints=(
        "Three lists of attentions, one for each kind; `which` says whose. An attention returns a pair, and a hook "
        "that you hang on it sees that pair.",
        "`layer.self_attention` of `model.encoder.layers`, the same of `model.decoder.layers`, and "
        "`layer.cross_attention` of `model.decoder.layers`. The hook: `lambda module, inputs, result: "
        "caught.append(result[1])`. Remember `model.training` before you call `model.eval()`.",
        "`hooks = [a.register_forward_hook(…) for a in attentions]`; then, with `torch.no_grad()`, `model(source, "
        "target)`; then `model.train(was_training)` and `hook.remove()` for each; at last `torch.stack(caught)`.",
    ),
)
