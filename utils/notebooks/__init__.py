"""From one source a chapter to its two notebooks, and from the course to what learners get.

solutions/NN_slug.py is written by hand; `build` makes chapters/NN_slug.ipynb and the executed solutions/NN_slug.ipynb
from it. Nothing is imported here: on Colab the set-up cell imports `utils.notebooks.colab` before Jupytext is there.
"""
