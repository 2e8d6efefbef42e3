"""A stand-in for the exercise engine: enough for the sample chapter."""


def check(number, answer, seed=None):
    """Says what the answer makes of 3."""
    made = answer() if isinstance(answer, type) else answer
    half = made(3.0)
    print(f"{'✓' if half == 1.5 else '✗'} check {number}: {half}")


def hint(number):
    """One hint."""
    print(f"hint {number}: one half is 0.5")


def predict(number, question):
    """The question."""
    print(f"predict {number}: {question}")


def progress():
    """Nothing yet."""
