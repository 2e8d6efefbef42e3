"""Experiments too long for a chapter: each a module that can be run by itself and writes one file of assets/runs/."""
