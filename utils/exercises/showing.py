"""How results reach the screen: rich in a notebook, plain text elsewhere, and once each."""

import sys
from typing import Any


def in_notebook() -> bool:
    """Whether a front end that renders HTML reads our output: a Jupyter kernel, and so Colab."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def cell_number() -> int | None:
    """The number of the running cell, or None outside of IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return None if shell is None else shell.execution_count


def show(shown: Any) -> None:
    """Shows an object with _repr_html_ and __str__."""
    if in_notebook():
        from IPython.display import publish_display_data

        publish_display_data({"text/plain": str(shown), "text/html": shown._repr_html_()})
    else:
        print(shown)


class ShownOnce:
    """Mixed into what a function both shows and returns: as the last value of its cell it is not shown again."""

    shown_in_cell: int | None = None

    def show(self) -> None:
        """Shows it, and remembers in which cell."""
        self.shown_in_cell = cell_number()
        show(self)

    def _ipython_display_(self) -> None:
        if self.shown_in_cell is None or self.shown_in_cell != cell_number():
            show(self)
