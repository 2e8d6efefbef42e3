"""The course as a notebook finds it while it is graded: without what its chapter and later ones ask for."""

import os
import sys
from importlib.abc import MetaPathFinder

__version__ = "graded"

os.environ.setdefault("GOMP_SPINCOUNT", "1000")


class _NotHere(MetaPathFinder):
    """Says of a part of the course that it is left out, instead of that it does not exist."""

    def find_spec(self, name, path=None, target=None):
        """Asked last, when nobody else has found the module."""
        if name.startswith("utils."):
            raise ModuleNotFoundError(f"{name} is left out while a notebook is graded.", name=name)


sys.meta_path.append(_NotHere())
