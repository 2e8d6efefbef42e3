"""Figures say what they should, fit on their paper and leave nothing behind."""

import itertools
import math
import warnings

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.image import imread

from utils.errors import CourseError, ShapeError
from utils.plots import (
    attention_lines,
    attention_map,
    heads_grid,
    positional_map,
    save,
    schedule_curves,
    training_curves,
)
from utils.plots.style import printable, spread, text_width, wrapped
from utils.transformer import sinusoidal_table

GERMAN = """
    Der Ältere , der gestern über die Straßenbahnhaltestelle ging , hat das große $ x_1 $ ▁Über Ġschön 12:30
    Donaudampfschifffahrtsgesellschaft müde gesehen . <unk> \\frac{1}{2} ^ & % # ~
"""
ENGLISH = "The older man who yesterday walked across the tram stop has seen $ 5 _ of the big steamship company ."
SIZES = [(1, 1), (1, 5), (5, 1), (5, 5), (12, 10), (30, 28), (60, 60), (5, 60), (60, 5)]


@pytest.fixture(autouse=True)
def warnings_are_errors():
    """A missing glyph, a collapsed layout or an empty legend only warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def words(sentence: str, count: int) -> list[str]:
    """The first so many words of the sentence, said again and again."""
    return list(itertools.islice(itertools.cycle(sentence.split()), count))


def drawn_weights(*shape: int) -> torch.Tensor:
    return (2 * torch.randn(*shape)).softmax(-1)


def drawn_texts(figure: Figure) -> list[tuple[str, object]]:
    """Every text that is drawn, with its box in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in figure.findobj(matplotlib.text.Text) if text.get_figure(root=True) is figure]
    in_axes = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    tick_labels = {label for axis in in_axes for tick in axis.get_major_ticks() for label in (tick.label1, tick.label2)}
    tick_labels |= {
        label for axis in in_axes for tick in axis.get_minor_ticks() for label in (tick.label1, tick.label2)
    }
    drawn = [text for text in texts if text not in tick_labels]
    for axis in in_axes:
        if axis.axes.axison:
            drawn += [label for tick in axis._update_ticks() for label in (tick.label1, tick.label2)]
    renderer = canvas.get_renderer()
    visible = [text for text in drawn if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in visible]


def assert_legible(figure: Figure, smallest: float = 6.0) -> None:
    """No text leaves the paper, none lies on another, none is tiny; the paper is no wider than a notebook."""
    boxes = drawn_texts(figure)
    width, height = figure.bbox.width, figure.bbox.height
    assert figure.get_size_inches()[0] <= 9.001
    for text, box in boxes:
        assert box.x0 >= -0.5 and box.y0 >= -0.5 and box.x1 <= width + 0.5 and box.y1 <= height + 0.5, f"{text} is cut"
    edges = np.array([[box.x0, box.y0, box.x1, box.y1] for _, box in boxes])
    for i, (text, _) in enumerate(boxes):
        across = np.minimum(edges[i, 2], edges[i + 1 :, 2]) - np.maximum(edges[i, 0], edges[i + 1 :, 0])
        upward = np.minimum(edges[i, 3], edges[i + 1 :, 3]) - np.maximum(edges[i, 1], edges[i + 1 :, 1])
        on_top = np.flatnonzero((across > 1) & (upward > 1))
        assert not len(on_top), f"{text!r} touches {boxes[i + 1 + on_top[0]][0]!r}"
    sizes = [text.get_fontsize() for text in figure.findobj(matplotlib.text.Text) if text.get_text().strip()]
    assert min(sizes) >= smallest
    assert not any(text.get_parse_math() for text in figure.findobj(matplotlib.text.Text) if "$" in text.get_text())


def labels(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


# --- attention map --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("target_len", "source_len"), SIZES)
def test_attention_map_is_legible(target_len, source_len):
    figure = attention_map(drawn_weights(target_len, source_len), words(GERMAN, target_len), words(ENGLISH, source_len))
    assert_legible(figure)
    map_axes = figure.axes[0]
    assert len(labels(map_axes.yaxis)) == target_len and len(labels(map_axes.xaxis)) == source_len


def test_rows_of_the_map_are_queries():
    weights = drawn_weights(3, 5)
    figure = attention_map(weights, ["eins", "zwei", "drei"], list("abcde"), title="Two looks at c")
    axes, bar = figure.axes
    image = axes.get_images()[0]
    np.testing.assert_allclose(image.get_array(), weights.numpy())
    assert axes.get_ylim() == (2.5, -0.5)  # the first query on top
    assert labels(axes.yaxis) == ["eins", "zwei", "drei"] and labels(axes.xaxis) == list("abcde")
    assert axes.get_ylabel().replace("\n", " ").startswith("query (generated word)")
    assert axes.get_xlabel().startswith("key (source word)")
    assert figure.get_suptitle() == "Two looks at c"
    assert image.get_clim() == (0, 1) and bar.get_ylim() == (0, 1)


def test_axes_can_be_named_otherwise():
    axes = attention_map(torch.eye(2), ["a", "b"], ["a", "b"], query_axis="query (word)", key_axis="key (word)").axes[0]
    assert "query" in axes.get_ylabel() and axes.get_xlabel() == "key (word) →"


def test_numbers_stand_in_cells_of_small_maps_only():
    small = attention_map(torch.tensor([[0.25, 0.75], [1.0, 0.0]]), ["a", "b"], ["c", "d"])
    assert sorted(text.get_text() for text in small.axes[0].texts) == ["0.25", "0.75", "1.00"]
    large = attention_map(drawn_weights(30, 30), words(GERMAN, 30), words(ENGLISH, 30))
    assert not large.axes[0].texts


def test_a_map_beyond_60_words_names_every_second_one():
    figure = attention_map(drawn_weights(90, 90), words(GERMAN, 90), words(ENGLISH, 90))
    assert_legible(figure)
    assert len(labels(figure.axes[0].xaxis)) == 45


@pytest.mark.parametrize("convert", [torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.bfloat16])
def test_any_kind_of_numbers_will_do(convert):
    figure = attention_map(convert(torch.tensor([[0.25, 0.75]])), ["a"], ["b", "c"])
    np.testing.assert_allclose(figure.axes[0].get_images()[0].get_array(), [[0.25, 0.75]])
    attention_map(torch.full((1, 1), 1.0, requires_grad=True), ["a"], ["b"])


def test_rows_of_nothing_and_nan_are_drawn():
    weights = torch.tensor([[0.0, 0.0], [math.nan, 0.5]])
    for figure in (
        attention_map(weights, ["a", "b"], ["c", "d"]),
        attention_lines(weights, ["a", "b"], ["c", "d"]),
    ):
        assert_legible(figure)


# --- heads ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heads", [1, 2, 3, 4, 5, 8, 16])
@pytest.mark.parametrize("length", [(1, 1), (5, 6), (12, 10), (30, 28), (60, 60)])
def test_heads_grid_is_legible(heads, length):
    if heads in (2, 3, 5) and length in ((30, 28), (60, 60)):
        pytest.skip("drawn like the others")
    target_len, source_len = length
    weights = drawn_weights(heads, target_len, source_len)
    figure = heads_grid(weights, words(GERMAN, target_len), words(ENGLISH, source_len))
    assert_legible(figure)
    maps = figure.axes[:heads]
    for index, axes in enumerate(maps):
        assert axes.get_title(loc="left") == f"head {index + 1}"
        np.testing.assert_allclose(axes.get_images()[0].get_array(), weights[index].numpy())
        assert axes.get_images()[0].get_clim() == (0, 1)  # one colour scale
        assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert "query" in figure.get_supylabel() and "key" in figure.get_supxlabel()
    assert len(figure.axes) == heads + 1


def test_words_stand_beside_the_maps_where_they_can_be_read():
    few = heads_grid(drawn_weights(8, 10, 10), words(GERMAN, 10), words(ENGLISH, 10))
    assert "older" in [text for text, _ in drawn_texts(few)]
    many = heads_grid(drawn_weights(8, 60, 60), words(GERMAN, 60), words(ENGLISH, 60))
    assert "older" not in [text for text, _ in drawn_texts(many)]
    assert "by position" in many.get_supxlabel()


# --- lines ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("target_len", "source_len"), SIZES)
def test_attention_lines_are_legible(target_len, source_len):
    figure = attention_lines(
        drawn_weights(target_len, source_len), words(GERMAN, target_len), words(ENGLISH, source_len)
    )
    assert_legible(figure)


def test_lines_join_a_query_to_its_keys_as_dark_as_the_weight():
    weights = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.01, 0.99]])
    figure = attention_lines(weights, ["links", "unten"], ["a", "b", "c"])
    (lines,) = [artist for artist in figure.axes[0].collections if isinstance(artist, PathCollection)]
    ends = {tuple(np.round(path.vertices[[0, -1], 1], 3)): colour for path, colour in zip(
        lines.get_paths(), lines.get_edgecolors(), strict=True)}  # fmt: skip
    assert sorted(round(float(colour[3]), 2) for colour in ends.values()) == [0.1, 0.9, 0.99]
    text_at = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts}
    strongest = max(ends, key=lambda end: ends[end][3])
    assert strongest[0] == max(start for start, _ in ends) and strongest[1] == max(end for _, end in ends)
    assert text_at["unten"] > text_at["links"] and text_at["c"] > text_at["a"]  # y grows downwards
    assert figure.axes[0].get_ylim()[0] > 0 == figure.axes[0].get_ylim()[1]


# --- what does not fit together -------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [attention_map, attention_lines, lambda w, q, k: heads_grid(w[None], q, k)])
@pytest.mark.parametrize(
    ("queries", "keys", "sentence"),
    [
        ("ab", "cde", "queries are one string; give them as a list of words"),
        (["a"], ["c", "d", "e"], "1 query words and 2 rows of weights: give one query word for each"),
        (["a", "b"], ["c"], "1 key words and 3 columns of weights: give one key word for each"),
        (["c", "d", "e"], ["a", "b"], "queries and keys seem to be exchanged"),
    ],
)
def test_words_and_weights_that_do_not_match(draw, queries, keys, sentence):
    with pytest.raises(ShapeError, match=sentence):
        draw(drawn_weights(2, 3), queries, keys)


def test_weights_of_another_shape():
    with pytest.raises(ShapeError, match=r"have shape \(2, 3, 4\); this figure draws \(target_len, source_len\)"):
        attention_map(drawn_weights(2, 3, 4), list("abc"), list("abcd"))
    with pytest.raises(ShapeError, match=r"have shape \(3, 4\); this figure draws \(heads, target_len, source_len\)"):
        heads_grid(drawn_weights(3, 4), list("abc"), list("abcd"))
    with pytest.raises(ShapeError, match=r"shape \(0, 0\)"):
        attention_lines(torch.zeros(0, 0), [], [])
    with pytest.raises(ShapeError, match=r"shape \(4,\); this figure draws \(length, d_model\)"):
        positional_map(torch.zeros(4))


# --- positions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "d_model"), [(1, 2), (1, 64), (10, 6), (50, 64), (100, 512), (5000, 32)])
def test_positional_map_is_legible(length, d_model):
    figure = positional_map(sinusoidal_table(length, d_model))
    assert_legible(figure)


def test_positional_map_names_the_wavelengths_of_sinusoids_alone():
    table = sinusoidal_table(50, 64)
    figure = positional_map(table)
    axes, _, *strips = figure.axes
    np.testing.assert_allclose(axes.get_images()[0].get_array(), table.numpy().T)
    assert axes.get_ylabel() == "dimension" and strips[-1].get_xlabel().startswith("position")
    names = [strip.texts[0].get_text() for strip in strips]
    assert names[0] == "dimension 0\nwavelength 6.3 tokens"
    for name, strip in zip(names, strips, strict=True):
        column = int(name.split()[1])
        np.testing.assert_allclose(strip.lines[0].get_ydata(), table[:, column].numpy(), atol=1e-6)
        assert f"{2 * math.pi * 10000 ** (column / 64):.1f}" in name
    learned = positional_map(torch.randn(20, 7), title="Learned")
    assert_legible(learned)
    assert learned.get_suptitle() == "Learned"
    assert not any("wavelength" in text for text, _ in drawn_texts(learned))
    assert_legible(positional_map(torch.zeros(5, 4)))


# --- training curves ------------------------------------------------------------------------------------------


def train(update: int, loss: float | None, **more) -> dict:
    rest = {"learning_rate": 1e-3 / update, "tokens_per_second": 1e4, "seconds": 0.5 * update, **more}
    return {"kind": "train", "update": update, "loss": loss, **rest}


def valid(update: int, loss: float, **more) -> dict:
    return {"kind": "valid", "update": update, "loss": loss, "perplexity": math.exp(min(loss, 700)), **more}


def a_run(updates: int, bleu: bool = False) -> list[dict]:
    metrics = []
    for update in range(1, updates + 1):
        metrics.append(train(update, 2 + 6 * math.exp(-5 * update / updates) + 0.1 * math.sin(update)))
        if update % max(1, updates // 10) == 0:
            score = {"bleu": 30 * update / updates} if bleu else {}
            metrics.append(valid(update, 2.2 + 6 * math.exp(-5 * update / updates), **score))
    return metrics


def panel(figure: Figure, name: str):
    return next((axes for axes in figure.axes if axes.get_label() == name), None)


@pytest.mark.parametrize("updates", [1, 2, 50, 5000])
@pytest.mark.parametrize("bleu", [False, True])
def test_training_curves_are_legible(updates, bleu):
    figure = training_curves(a_run(updates, bleu))
    assert_legible(figure)
    loss = panel(figure, "loss")
    assert loss.get_ylabel() == "loss per token (nats)"
    assert panel(figure, "rate").get_xlabel() == "update"
    assert panel(figure, "rate").get_ylabel().split() == ["learning", "rate"]
    assert (panel(figure, "bleu") is not None) == bleu
    named = " ".join(text.get_text() for text in loss.texts)
    assert "train " in named and "valid " in named and "best valid" in named


def test_the_best_validation_is_marked_and_in_the_title():
    metrics = [train(u, 3.0) for u in range(1, 31)] + [valid(10, 2.5), valid(20, 1.5), valid(30, 1.75)]
    figure = training_curves(metrics)
    loss = panel(figure, "loss")
    rings = [line for line in loss.lines if line.get_markerfacecolor() == "none"]
    assert [ring.get_xydata().tolist() for ring in rings] == [[[20, 1.5]]]
    assert "best valid 1.50 at update 20" in [text.get_text() for text in loss.texts]
    assert "1.50 nats" in figure.get_suptitle() and f"{math.exp(1.5):.3g}" in figure.get_suptitle()
    assert training_curves(metrics, title="Mine").get_suptitle() == "Mine"


def test_close_ends_are_named_apart():
    figure = training_curves(
        [train(1, 2.0), train(2, 1.0), valid(1, 2.0), valid(2, 1.0), train(3, 1.0), valid(3, 1.001)]
    )
    assert_legible(figure)


@pytest.mark.parametrize(
    "metrics",
    [
        [],
        [train(1, 5.0)],
        [valid(1, 5.0)],
        [valid(7, 5.0, bleu=None)],
        [train(u, 5.0 - u / 10) for u in range(1, 9)],
        [train(1, math.nan)],
        [train(1, None), valid(1, math.nan)],
        [train(1, math.inf), train(2, 3.0), valid(2, 2000.0)],
        [{"kind": "train", "update": 3, "loss": 2.0}],
        [{"kind": "train", "update": 3, "loss": 2.0}, {"kind": "note", "text": "resumed"}],
        [train(1, 1e6), train(2, 1e-6), valid(2, 0.0, bleu=0.0)],
        [train(10_000_000, 2.0), train(20_000_000, 1.0)],
    ],
    ids=lambda metrics: f"{len(metrics)} records",
)
def test_training_curves_bear_with_odd_records(metrics):
    assert_legible(training_curves(metrics))


def test_values_that_are_not_finite_leave_a_gap_and_a_note():
    metrics = [train(u, math.nan if u in (4, 5) else 3.0) for u in range(1, 9)]
    figure = training_curves(metrics)
    assert_legible(figure)
    assert np.isnan(panel(figure, "loss").lines[0].get_ydata()).tolist() == [u in (4, 5) for u in range(1, 9)]
    assert "Not finite: 2 train losses, first at 4" in [text.get_text() for text in figure.texts]


def test_a_resumed_runs_records_replace_those_done_again():
    killed = [train(u, 9.0) for u in range(1, 9)] + [valid(6, 9.0)]
    resumed = [train(u, 1.0) for u in range(5, 13)] + [valid(6, 1.0), valid(12, 1.0)]
    figure = training_curves(killed + resumed)
    line = panel(figure, "loss").lines[0]
    assert line.get_xdata().tolist() == list(range(1, 13))
    assert line.get_ydata().tolist() == [9.0] * 4 + [1.0] * 8
    assert panel(figure, "loss").lines[1].get_ydata().tolist() == [1.0, 1.0]


@given(
    st.lists(
        st.builds(
            lambda kind, update, loss, bleu: {
                "kind": kind, "update": update, "loss": loss, "learning_rate": 0.1, "bleu": bleu,
            },
            st.sampled_from(["train", "valid"]),
            st.integers(0, 10**6),
            st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True, width=16)),
            st.one_of(st.none(), st.floats(0, 100)),
        ),
        max_size=6,
    )
)  # fmt: skip
@settings(max_examples=15)
def test_training_curves_bear_with_any_records(metrics):
    assert_legible(training_curves(metrics))


# --- schedules ------------------------------------------------------------------------------------------------


def warm_up(steps: int, warm: int) -> list[float]:
    return [512**-0.5 * min(step**-0.5, step * warm**-1.5) for step in range(1, steps + 1)]


@pytest.mark.parametrize("updates", [1, 50, 5000])
@pytest.mark.parametrize("count", [1, 3, 9])
def test_schedule_curves_are_legible(updates, count):
    figure = schedule_curves({f"warm-up $ {10 * (i + 1)}_x": warm_up(updates, 10 * (i + 1)) for i in range(count)})
    assert_legible(figure)
    assert figure.axes[0].get_xlabel() == "update" and figure.axes[0].get_ylabel() == "learning rate"


def test_the_peak_is_marked_and_named():
    figure = schedule_curves({"paper": torch.tensor(warm_up(900, 400)), "flat": [1e-3] * 500}, title="Up, then down")
    axes = figure.axes[0]
    peaks = [line.get_xydata()[0].tolist() for line in axes.lines if len(line.get_xdata()) == 1]
    assert peaks[0] == [400, pytest.approx(512**-0.5 * 400**-0.5)]
    names = [text.get_text() for text in axes.texts]
    assert "paper\npeak 0.00221 at 400" in names and "flat\nalways 0.001" in names
    assert axes.lines[0].get_xdata()[0] == 1  # the first value belongs to update 1
    assert figure.get_suptitle() == "Up, then down"


def test_schedules_that_cannot_be_drawn():
    with pytest.raises(ShapeError, match="no schedule to draw"):
        schedule_curves({})
    for rates in ([], [math.nan], [[1.0]]):
        with pytest.raises(ShapeError, match="'x' has shape .*at least one learning rate"):
            schedule_curves({"x": rates})
    assert_legible(schedule_curves({"zero": [0.0, 0.0], "gap": [0.1, math.nan], "burst": [0.1, math.inf, 0.2]}))
    assert_legible(schedule_curves({"a name that goes on and on " * 5: [0.1, 0.2]}))


# --- shared ---------------------------------------------------------------------------------------------------


def every_figure() -> list[Figure]:
    weights = drawn_weights(4, 4)
    return [
        attention_map(weights, list("abcd"), list("efgh")),
        heads_grid(weights[None], list("abcd"), list("efgh")),
        attention_lines(weights, list("abcd"), list("efgh")),
        positional_map(sinusoidal_table(9, 4)),
        training_curves(a_run(20)),
        schedule_curves({"one": warm_up(30, 10)}),
    ]


def test_nothing_is_left_in_the_global_state():
    mine = pyplot.figure()
    before, numbers = dict(matplotlib.rcParams), pyplot.get_fignums()
    figures = every_figure()
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == numbers and pyplot.fignum_exists(mine.number)
    assert not any(hasattr(figure, "number") for figure in figures)
    pyplot.close(mine)


def test_paper_is_light_and_opaque_in_a_dark_notebook():
    with matplotlib.style.context("dark_background"):
        for figure in every_figure():
            FigureCanvasAgg(figure).draw()
            assert figure.get_facecolor() == (1, 1, 1, 1)
            for text in figure.findobj(matplotlib.text.Text):
                if text.get_text() and text.axes is None:
                    assert max(matplotlib.colors.to_rgb(text.get_color())) < 0.9
            picture = np.asarray(figure.canvas.buffer_rgba())
            assert (picture[:5, :5] == 255).all()


def test_a_notebook_shows_the_figure_by_itself():
    assert attention_map(torch.eye(1), ["a"], ["b"])._repr_png_().startswith(b"\x89PNG")


def test_dollars_and_underscores_stay_themselves():
    tokens = ["$", "$x_1$", r"\alpha", "a_b", "100%"]
    figure = attention_map(torch.eye(5), tokens, tokens, title="Costs $5 or x_1$")
    assert labels(figure.axes[0].yaxis) == tokens
    assert figure.get_suptitle() == "Costs $5 or x_1$"
    assert_legible(figure)


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("Straße", "Straße"),
        ("▁über", "▁über"),
        ("Ġthe", "Ġthe"),
        ("a b\n", "a␣b␣"),
        ("漢字🦊", "▯▯▯"),
        ("x" * 20, "x" * 13 + "…"),
        ("", ""),
        (7, "7"),
    ],
)
def test_every_token_can_be_drawn(token, shown):
    assert printable(token) == shown
    assert_legible(attention_map(torch.eye(2), [token, "a"], ["b", token]))


def test_a_long_title_is_broken_between_words():
    title = "A long message " * 12
    lines = wrapped(title, 12, 5.0, bold=True).split("\n")
    assert " ".join(lines) == title.strip() and len(lines) > 2
    assert max(text_width(line, 12, bold=True) for line in lines) <= 5
    assert_legible(attention_map(torch.eye(3), list("abc"), list("abc"), title=title))


@given(st.lists(st.floats(-5, 15), max_size=6))
def test_labels_are_spread_in_order(wanted):
    placed = spread(wanted, 1.0, 0.0, 10.0)
    for (a, at_a), (b, at_b) in itertools.combinations(zip(wanted, placed, strict=True), 2):
        assert abs(at_a - at_b) >= 1 - 1e-9
        assert a == b or (at_a < at_b) == (a < b)
    assert all(-1e-9 <= at <= 10 + 1e-9 for at in placed)


# --- saving ---------------------------------------------------------------------------------------------------


def small_figure() -> Figure:
    return attention_map(torch.eye(2), ["a", "b"], ["c", "d"])


def test_saving_writes_150_dots_an_inch(tmp_path):
    figure = small_figure()
    path = save(figure, tmp_path / "map.png")
    width, height = figure.get_size_inches()
    picture = imread(path)
    assert abs(picture.shape[0] - 150 * height) <= 1 and abs(picture.shape[1] - 150 * width) <= 1
    assert (picture[..., -1] == 1).all()  # opaque
    assert [entry.name for entry in tmp_path.iterdir()] == ["map.png"]


def test_saving_replaces_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "map.png"
    save(small_figure(), str(path))
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("utils.plots.style.os.replace", full_disk)
    with pytest.raises(CourseError, match="Cannot write the figure .*map.png: No space left on device"):
        save(small_figure(), path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_crash_while_drawing_leaves_no_file(tmp_path):
    class Crashing:
        def get_facecolor(self):
            return "white"

        def savefig(self, path, **_):
            path.write_bytes(b"half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        save(Crashing(), tmp_path / "map.png")
    assert not list(tmp_path.iterdir())


def test_folders_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder.png").mkdir()
    for path in (tmp_path / "missing" / "map.png", tmp_path / "file" / "map.png", tmp_path / "folder.png"):
        with pytest.raises(CourseError, match="Cannot write the figure .*Name a folder that exists"):
            save(small_figure(), path)
    with pytest.raises(CourseError, match="written as PNG: give 'map.pdf' a name that ends in .png"):
        save(small_figure(), tmp_path / "map.pdf")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.png"]
