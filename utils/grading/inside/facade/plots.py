"""Figures are not drawn while a notebook is graded: every function of `utils.plots` takes anything and does nothing."""

import sys
from types import ModuleType


class _Nothing:
    """Takes part in whatever is done with a figure."""

    def __call__(self, *_arguments, **_keywords):
        return self

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __iter__(self):
        return iter((self, self))

    def __getitem__(self, _key):
        return self

    def __setitem__(self, _key, _value):
        pass


class _Empty(ModuleType):
    """A module that has every name."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing()


for _name in ("attention", "curves", "positions", "style"):
    _module = _Empty(f"{__name__}.{_name}")
    sys.modules[_module.__name__] = _module
    globals()[_name] = _module


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _Nothing()
