"""The frame of the grader's HTML pages: self-contained, legible in light and dark, and every text escaped."""

import re
from html import escape as html_escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --good: #0b6e4f; --part: #8a5a00; --bad: #a8320a; }
@media (prefers-color-scheme: dark) { :root { --good: #5cc9a0; --part: #e0b050; --bad: #ff9472; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 58rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100%; margin: .6rem 0 }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line) }
td { overflow-wrap: anywhere } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--soft); padding: .5rem .7rem; margin: .4rem 0;
  font-size: .9rem; max-height: 24rem; overflow: auto }
section { border: 1px solid var(--line); border-left-width: 5px; border-radius: 4px; padding: .3rem 1rem .7rem;
  margin: 1rem 0 }
section.passed { border-left-color: var(--good) } section.partly { border-left-color: var(--part) }
section.wrong { border-left-color: var(--bad) }
code { font-size: .92em; background: var(--soft); padding: .05rem .25rem; border-radius: 3px }
section h2 { margin: .4rem 0 } .quiet { opacity: .75 } .points { float: right; font-weight: 600 }
figure { margin: 1.2rem 0 } figcaption { font-weight: 600; margin-bottom: .3rem } svg { max-width: 100%; height: auto }
svg text { fill: currentColor; font: 13px system-ui, sans-serif }
"""


def escape(value: Any) -> str:
    """Text as HTML, quotes included, without control characters."""
    text = "".join(c if c in "\n\t" or c.isprintable() else "�" for c in str(value))
    return html_escape(text, quote=True)


def prose(value: Any) -> str:
    """A sentence as HTML: what stands between backticks is code."""
    return re.sub(r"`([^`\n]{1,200})`", r"<code>\1</code>", escape(value))


def page(title: str, body: str) -> str:
    """A whole page. It can load and run nothing."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def table(header: list[str], rows: list[list[str]], numbers: set[int] = frozenset()) -> str:
    """A table of cells that are HTML already; columns in `numbers` are set to the right."""

    def cells(kind: str, row: list[str]) -> str:
        return "".join(f"<{kind}{' class=n' if i in numbers else ''}>{cell}</{kind}>" for i, cell in enumerate(row))

    lines = [f"<tr>{cells('th', header)}</tr>", *(f"<tr>{cells('td', row)}</tr>" for row in rows)]
    return f"<table>{''.join(lines)}</table>"


def listed(items: list[str]) -> str:
    """A list of texts."""
    return f"<ul>{''.join(f'<li>{prose(item)}</li>' for item in items)}</ul>" if items else ""
