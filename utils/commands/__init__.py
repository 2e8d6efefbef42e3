"""What each command of `python -m utils` does, one module a command; `utils.cli` only reads the arguments."""
