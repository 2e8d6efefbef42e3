"""The set-up cell: the same everywhere, short, and at home in an empty folder of an environment that lacks packages."""

import base64
import copy
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from utils.notebooks.build import chapter_notebook, to_text
from utils.notebooks.setup_cell import setup_cell
from utils.notebooks.source import read_source

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).with_name("data") / "course"
RUN = """
import sys, nbformat, nbclient
notebook = nbformat.read(sys.argv[1], as_version=4)
client = nbclient.NotebookClient(notebook, kernel_name="python3", timeout=60, extra_arguments=["--log-level=40"])
client.execute(cleanup_kc=True)
nbformat.write(notebook, sys.argv[1])
"""
PROBE = """
import json, os
import halfling, utils
found = {"course": str(course), "cwd": os.getcwd(), "utils": utils.__file__, "halfling": halfling.__file__}
print(json.dumps(found | {"path": os.environ["PYTHONPATH"]}))
check("9.1", lambda number: number / 2)
"""


def test_it_is_the_same_in_all_chapters_save_for_the_number():
    assert setup_cell("03", None).replace("chapter 03", "chapter 17") == setup_cell("17", None)


def test_it_is_short_and_python():
    text = setup_cell("03", "https://github.com/someone/course")
    compile(text, "set-up", "exec")
    assert len(text.split("\n")) <= 25
    assert max(map(len, text.split("\n"))) <= 120


def run_cell(text, cwd, **environment):
    command = [sys.executable, "-c", text]
    return subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True)


def test_in_the_course_it_only_imports(course):
    cell = setup_cell("09", None) + "\nprint(check, sys.path[0], on_colab)"
    done = run_cell(cell, course / "solutions")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"{course} False\n") and done.stdout.startswith("<function check")
    assert done.stderr == "" and not (course / "solutions" / "my_transformer").exists()


def test_outside_of_the_course_it_says_where_to_go(tmp_path):
    done = run_cell(setup_cell("09", "https://github.com/someone/course", str(tmp_path / "content")), tmp_path)
    assert done.returncode and "open this in the course's chapters folder" in done.stderr.splitlines()[-1]


def git(*arguments, cwd):
    names = {f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True, env=os.environ | names)


@pytest.fixture
def bare(tmp_path) -> Path:
    """A bare repository with what the set-up needs of the course, and a requirement that nobody has."""
    work = tmp_path / "work"
    shutil.copytree(DATA, work, ignore=shutil.ignore_patterns("__pycache__"))
    (work / "utils" / "notebooks").mkdir()
    for name in ("utils/__init__.py", "utils/errors.py", "utils/notebooks/__init__.py", "utils/notebooks/colab.py"):
        shutil.copyfile(ROOT / name, work / name)
    (work / "requirements.txt").write_text("torch>=99  # never touched\nhalfling==1.0\n")
    (work / "chapters").mkdir()
    (work / "chapters" / ".gitkeep").touch()
    git("init", "--quiet", cwd=work)
    git("add", ".", cwd=work)
    git("commit", "--quiet", "-m", "course", cwd=work)
    git("clone", "--quiet", "--bare", str(work), str(tmp_path / "bare.git"), cwd=tmp_path)
    return tmp_path / "bare.git"


@pytest.fixture
def environment(tmp_path) -> Path:
    """A fresh environment: the packages of ours can be read in it, and new ones land in it alone; no network."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "fresh")], check=True)
    (packages,) = (tmp_path / "fresh" / "lib").glob("python*/site-packages")
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return tmp_path / "fresh" / "bin" / "python"


@pytest.fixture
def wheels(tmp_path) -> Path:
    """A folder with the one wheel that pip may install."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    files = {
        "halfling.py": "HALF = 0.5\n",
        "halfling-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: halfling\nVersion: 1.0\n",
        "halfling-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(text)}\n")
    files["halfling-1.0.dist-info/RECORD"] = "".join(rows) + "halfling-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(folder / "halfling-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return folder


def test_a_lone_notebook_in_an_empty_folder_fetches_the_course(bare, environment, wheels, tmp_path):
    stand_in = tmp_path / "stand_in" / "google" / "colab"
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").touch()
    lone, content = tmp_path / "lone", tmp_path / "content" / "attention-rebuilt"
    lone.mkdir()
    content.mkdir(parents=True)
    (content / "leftover").touch()  # of a download that was cut off
    chapter = read_source(DATA / "solutions" / "09_halving.py")
    notebook = chapter_notebook(chapter, f"file://{bare}", str(content))
    set_up = notebook.cells[1]
    probe = copy.deepcopy(set_up)
    probe.update(id="probe", source=PROBE)
    again = copy.deepcopy(set_up)
    again.update(id="again")
    notebook.cells = [set_up, probe, again]
    (lone / "chapter.ipynb").write_text(to_text(notebook), encoding="utf-8")

    variables = {"PYTHONPATH": str(stand_in.parents[1]), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    variables |= {"PIP_CONFIG_FILE": os.devnull, "IPYTHONDIR": str(tmp_path / "ipython"), "ATTENTION_REBUILT_HOME": ""}
    command = [str(environment), "-c", RUN, str(lone / "chapter.ipynb")]
    done = subprocess.run(command, cwd=lone, env=os.environ | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    cells = json.loads((lone / "chapter.ipynb").read_text(encoding="utf-8"))["cells"]
    first, found, second = ("".join("".join(output["text"]) for output in cell["outputs"]) for cell in cells)
    told = first.splitlines()
    assert told[:2] == ["Installing halfling==1.0 …", f"The course lies in {content}; every package is there."]
    assert told[2].startswith("GPU: ") and "DRIVE = True" in told[3]
    places = json.loads(found.splitlines()[0])
    assert places["course"] == str(content) and places["cwd"] == str(content / "chapters")
    assert places["utils"] == str(content / "utils" / "__init__.py")
    assert places["halfling"].startswith(str(environment.parents[1]))
    assert places["path"].split(os.pathsep).count(str(content)) == 1  # so that `!python -m utils …` works as well
    assert found.splitlines()[1] == "✓ check 9.1: 1.5"
    assert second.splitlines() == told[1:]  # the second time nothing is fetched or installed
    assert sorted(path.name for path in lone.iterdir()) == ["chapter.ipynb"]
