"""Our own drawing of the Transformer (the paper's figure 1), with the part of today's chapter lit.

`python -m utils.notebooks.figure1` writes assets/figure1_NN.svg for every chapter; a test sees that they are in step.
"""

from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 790, 560
INK, PALE, LINE, LIT = "#37474f", "#eceff1", "#90a4ae", "#0072b2"
LEFT, RIGHT, BOX = 90, 450, 230  # where the two columns of boxes begin, and how wide a box is


@dataclass(frozen=True)
class Box:
    """One labelled box; `part` names what chapters light."""

    part: str
    label: str
    x: int
    y: int
    height: int = 34


ENCODER = (
    Box("ids", "source ids", LEFT, 500, 28),
    Box("embedding", "embedding × √d_model", LEFT, 448),
    Box("positions", "+ positions", LEFT, 400),
    Box("attention", "self-attention", LEFT, 310),
    Box("norm", "add and normalise", LEFT, 266, 28),
    Box("feed-forward", "feed-forward", LEFT, 212),
    Box("norm", "add and normalise", LEFT, 168, 28),
)
DECODER = (
    Box("ids", "target ids, shifted right", RIGHT, 500, 28),
    Box("embedding", "embedding × √d_model", RIGHT, 448),
    Box("positions", "+ positions", RIGHT, 400),
    Box("attention", "masked self-attention", RIGHT, 310),
    Box("norm", "add and normalise", RIGHT, 266, 28),
    Box("cross-attention", "attention to the source", RIGHT, 212),
    Box("norm", "add and normalise", RIGHT, 168, 28),
    Box("feed-forward", "feed-forward", RIGHT, 114),
    Box("norm", "add and normalise", RIGHT, 70, 28),
    Box("output", "output layer and softmax", RIGHT, 16),
)
LIT_IN = {
    "00": ("ids", "embedding", "positions", "attention", "norm", "feed-forward", "cross-attention", "output"),
    "01": ("ids", "embedding", "output"),
    "02": ("positions",),
    "03": ("attention", "cross-attention"),
    "04": ("attention", "cross-attention"),
    "05": ("norm", "feed-forward"),
    "06": ("stack",),
    "07": ("embedding", "positions", "attention", "norm", "feed-forward", "cross-attention", "output", "stack"),
    "08": ("output",),
    "09": ("attention", "cross-attention"),
    "10": ("attention", "cross-attention"),
}


def figure1(lit: tuple[str, ...]) -> str:
    """The drawing as SVG; parts in `lit` are filled, "stack" lights the two frames."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
        f'font-family="sans-serif" font-size="15">',
        f"<title>The Transformer; lit: {escape(', '.join(lit))}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>',
        _frame(LEFT, 150, 214, "encoder", "stack" in lit),
        _frame(RIGHT, 52, 312, "decoder", "stack" in lit),
    ]
    for column in (ENCODER, DECODER):
        parts += [_arrow_up(lower, upper) for lower, upper in zip(column, column[1:], strict=False)]
    memory, asked = ENCODER[-1], next(box for box in DECODER if box.part == "cross-attention")
    parts.append(_memory(memory, asked))
    parts += [_box(box, box.part in lit) for column in (ENCODER, DECODER) for box in column]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(box: Box, lit: bool) -> str:
    fill, text = (LIT, "#ffffff") if lit else (PALE, INK)
    middle = box.y + box.height / 2 + 5
    return (
        f'<rect x="{box.x}" y="{box.y}" width="{BOX}" height="{box.height}" rx="6" fill="{fill}" stroke="{LINE}"/>'
        f'<text x="{box.x + BOX / 2:g}" y="{middle:g}" text-anchor="middle" fill="{text}">{escape(box.label)}</text>'
    )


def _frame(x: int, y: int, height: int, name: str, lit: bool) -> str:
    colour, width = (LIT, 3) if lit else (LINE, 1.5)
    edge, anchor = (x - 24, "end") if x == LEFT else (x + BOX + 24, "start")
    middle = y + height / 2
    return (
        f'<rect x="{x - 16}" y="{y}" width="{BOX + 32}" height="{height}" rx="12" fill="none" stroke="{colour}" '
        f'stroke-width="{width}" stroke-dasharray="6 4"/>'
        f'<text x="{edge}" y="{middle:g}" text-anchor="{anchor}" fill="{INK}" font-weight="bold">N ×</text>'
        f'<text x="{edge}" y="{middle + 20:g}" text-anchor="{anchor}" fill="{INK}" font-style="italic">{name}</text>'
    )


def _arrow_up(lower: Box, upper: Box) -> str:
    x, start, end = lower.x + BOX / 2, lower.y, upper.y + upper.height
    return (
        f'<path d="M{x:g} {start}V{end + 5}" stroke="{LINE}" stroke-width="2"/>'
        f'<path d="M{x - 5:g} {end + 7}L{x:g} {end}L{x + 5:g} {end + 7}z" fill="{LINE}"/>'
    )


def _memory(memory: Box, asked: Box) -> str:
    start_x, start_y = memory.x + BOX, memory.y + memory.height / 2
    turn, end_x, end_y = (LEFT + BOX + RIGHT) // 2, asked.x, asked.y + asked.height / 2
    return (
        f'<path d="M{start_x} {start_y:g}H{turn}V{end_y:g}H{end_x - 5}" fill="none" stroke="{LINE}" stroke-width="2"/>'
        f'<path d="M{end_x - 7} {end_y - 5:g}L{end_x} {end_y:g}L{end_x - 7} {end_y + 5:g}z" fill="{LINE}"/>'
        f'<text x="{turn}" y="{end_y + 22:g}" text-anchor="middle" fill="{INK}" font-size="13">keys, values</text>'
    )


def write_all(folder: Path) -> list[Path]:
    """Writes the drawing of every chapter; returns the files."""
    paths = []
    for number, lit in LIT_IN.items():
        paths.append(folder / f"figure1_{number}.svg")
        paths[-1].write_text(figure1(lit), encoding="utf-8")
    return paths


if __name__ == "__main__":
    for path in write_all(Path(__file__).parents[2] / "assets"):
        print(path)
