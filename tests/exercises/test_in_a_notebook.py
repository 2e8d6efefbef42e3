"""check, hint and predict in a real Jupyter kernel: HTML, once each, with the cell's source carried forward."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
CELLS = (
    "import math, torch\nfrom utils.exercises import check, hint, predict, progress, yours",
    "def weights_of_one_query(query, keys):\n    raise NotImplementedError('Exercise 3.1: the weights')",
    "check('3.1', weights_of_one_query)",
    "def scaled(scores, width):\n    return scores / math.sqrt(width)",
    "def weights_of_one_query(query, keys):\n    return scaled(keys @ query, query.size(-1)).softmax(-1)",
    "report = check('3.1', weights_of_one_query)",
    "check('3.1', weights_of_one_query)",
    "report",
    "hint('3.2'); predict('3.a', 'b'); progress()",
    "print(yours('3.1')(torch.ones(2), torch.eye(2)).tolist())",
)


def test_a_notebook_shows_each_result_once(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_REBUILT_HOME", str(tmp_path))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [cell.outputs for cell in notebook.cells]
    assert [len(cell) for cell in outputs] == [0, 0, 1, 0, 0, 1, 1, 1, 3, 1]
    for cell in (2, 5, 6, 7, 8):
        for output in outputs[cell]:
            assert output.output_type == "display_data" and {"text/html", "text/plain"} <= set(output.data)
    assert "Not written yet: Exercise 3.1" in outputs[2][0].data["text/html"]
    assert "passed (1 of 1 point)" in outputs[5][0].data["text/html"]
    assert "3.1): yours" in outputs[9][0].text and "[0.5, 0.5]" in outputs[9][0].text
    assert "def scaled" in (tmp_path / "my_transformer" / "chapter_03.py").read_text()
