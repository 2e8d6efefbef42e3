"""Small figures as SVG text: bars with their numbers beside them, readable without colour."""

from collections.abc import Sequence

from utils.grading.pages import escape

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8888"
LABEL, WIDTH, ROW = 250, 760, 24


def bars(rows: Sequence[tuple[str, float, str]], title: str, largest: float | None = None, colour: str = BLUE) -> str:
    """Horizontal bars: (label, length, words behind it)."""
    if not rows:
        return ""
    largest = largest or max(length for _, length, _ in rows) or 1.0
    room = WIDTH - LABEL - 150
    parts = []
    for index, (label, length, words) in enumerate(rows):
        y, size = index * ROW, max(1.0, room * length / largest) if length else 0.0
        shown = label if len(label) <= 38 else label[:37] + "…"
        parts.append(f'<text x="{LABEL - 10}" y="{y + 16}" text-anchor="end">{escape(shown)}</text>')
        parts.append(f'<rect x="{LABEL}" y="{y + 4}" width="{room}" height="{ROW - 8}" fill="{GREY}" opacity=".18"/>')
        parts.append(f'<rect x="{LABEL}" y="{y + 4}" width="{size:.1f}" height="{ROW - 8}" fill="{colour}"/>')
        parts.append(f'<text x="{LABEL + room + 8}" y="{y + 16}">{escape(words)}</text>')
    return _figure(title, parts, len(rows) * ROW + 4)


def histogram(values: Sequence[float], title: str, unit: str, largest: int, most: int = 16) -> str:
    """How many values lie where, from 0 to `largest`, by whole numbers: 6.5 stands over 6."""
    if not values:
        return ""
    step = -(-(largest + 1) // most)
    count = largest // step + 1
    counts = [0] * count
    for value in values:
        counts[min(int(value / step), count - 1)] += 1
    height, left, width = 150, 40, (WIDTH - 60) / count
    parts = []
    for index, number in enumerate(counts):
        size = height * number / max(counts)
        x, y = left + index * width, height - size + 20
        parts.append(f'<rect x="{x + 2:.1f}" y="{y:.1f}" width="{width - 4:.1f}" height="{size:.1f}" fill="{BLUE}"/>')
        if number:
            parts.append(f'<text x="{x + width / 2:.1f}" y="{y - 4:.1f}" text-anchor="middle">{number}</text>')
    for index in range(count):
        x, first, last = left + (index + 0.5) * width, index * step, min((index + 1) * step - 1, largest)
        label = str(first) if first == last else f"{first}–{last}"
        parts.append(f'<text x="{x:.1f}" y="{height + 38}" text-anchor="middle">{label}</text>')
    parts.append(
        f'<text x="{left + count * width / 2:.1f}" y="{height + 58}" text-anchor="middle">{escape(unit)}</text>'
    )
    return _figure(title, parts, height + 66)


def _figure(title: str, parts: list[str], height: float) -> str:
    drawn = f'<svg viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" role="img" aria-label="{escape(title)}">'
    return f"<figure><figcaption>{escape(title)}</figcaption>{drawn}{''.join(parts)}</svg></figure>"
