"""The shared package of the course "Attention, Rebuilt"."""

__version__ = "0.1.0"
