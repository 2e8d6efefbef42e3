"""Solution regions become one raise each; what surrounds them stays to the letter."""

import ast

import pytest

from utils.notebooks.regions import RegionError, find_regions, opened

FUNCTION = '''\
# Exercise 3.2: attention
def attention(query):
    """Softmax.

    query: (B, T).
    """
    ### BEGIN SOLUTION
    scores = query

    return scores
    ### END SOLUTION
'''


def test_a_region_becomes_a_raise_with_the_docstring_kept():
    text = opened(FUNCTION, "3.2")
    assert text == FUNCTION.split("    ### BEGIN")[0] + (
        '    raise NotImplementedError("Exercise 3.2: write attention")\n'
    )
    assert ast.get_docstring(ast.parse(text).body[0]) == "Softmax.\n\nquery: (B, T)."


def test_two_regions_in_a_class_name_their_methods():
    text = opened(
        "class Layer:\n"
        "    def first(self):\n"
        "        ### BEGIN SOLUTION\n"
        "        return 1\n"
        "        ### END SOLUTION\n"
        "\n"
        "    async def second(self, flag):\n"
        "        if flag:\n"
        "            ### BEGIN SOLUTION\n"
        "            # a remark\n"
        "            return 2\n"
        "            ### END SOLUTION\n"
        "        return 3\n",
        "4.1",
    )
    assert '        raise NotImplementedError("Exercise 4.1: write Layer.first")\n\n' in text
    assert '            raise NotImplementedError("Exercise 4.1: write Layer.second")\n        return 3' in text
    assert "SOLUTION" not in text and "return 1" not in text and "a remark" not in text


def test_the_raise_raises():
    names: dict = {}
    exec(opened(FUNCTION, "3.2"), names)
    with pytest.raises(NotImplementedError, match=r"^Exercise 3\.2: write attention$"):
        names["attention"](1)


def test_a_region_outside_of_functions():
    text = opened("### BEGIN SOLUTION\nscale = 2\n### END SOLUTION\nscale", "1.1")
    assert text == 'raise NotImplementedError("Exercise 1.1: this part is yours to write")\nscale'


def test_a_function_inside_the_region_goes_with_it():
    text = opened(
        "def outer():\n    ### BEGIN SOLUTION\n    def inner():\n"
        '        """Mine."""\n    return inner\n    ### END SOLUTION',
        "1.1",
    )
    assert text == 'def outer():\n    raise NotImplementedError("Exercise 1.1: write outer")'


@pytest.mark.parametrize(
    "text, line, words",
    [
        ("### BEGIN SOLUTION\nx = 1", 0, "no ### END SOLUTION"),
        ("x = 1\n### END SOLUTION", 1, "no ### BEGIN SOLUTION"),
        ("### BEGIN SOLUTION\nx = 1\n### BEGIN SOLUTION\n### END SOLUTION", 2, "inside another"),
        ("x = 1\n### BEGIN SOLUTION\n# only a remark\n### END SOLUTION", 1, "no code"),
        ("# begin solution\nx = 1", 0, "is no marker"),
        ("#### BEGIN SOLUTION", 0, "is no marker"),
    ],
)
def test_faulty_markers_are_named_with_their_line(text, line, words):
    with pytest.raises(RegionError, match=words) as caught:
        find_regions(text)
    assert caught.value.line == line


@pytest.mark.parametrize(
    "text, words",
    [
        ('def f():\n    ### BEGIN SOLUTION\n    """Mine."""\n    return 1\n    ### END SOLUTION', "docstring of f"),
        ("def f(:\n    ### BEGIN SOLUTION\n    pass\n    ### END SOLUTION", "The cell is not Python"),
        ("### BEGIN SOLUTION\nif x:\n### END SOLUTION\n    y = 1", "without its solution is not Python"),
    ],
)
def test_cells_that_cannot_be_opened_are_refused(text, words):
    with pytest.raises(RegionError, match=words):
        opened(text, "1.1")
