"""A stand-in for the figures."""
