"""`make lab` in a real browser: it opens on the course, rendered, without an error in the page's console."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPTIONS = "--no-browser --port {port} --ServerApp.port_retries=0 --IdentityProvider.token=''"

pytestmark = [
    pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine"),
    pytest.mark.skipif(not (ROOT / ".venv" / ".ready").exists(), reason="not started by make: no .venv here"),
]


def test_lab_opens_on_the_course(lab, page):
    with lab(["make", "lab", f"LAB_OPTIONS={OPTIONS}"], ROOT) as address:
        page.goto(address)
        first = page.locator(".jp-MarkdownViewer h1, .jp-Notebook h1").first
        first.wait_for(timeout=60_000)
        assert first.inner_text().startswith(("Attention, Rebuilt", "00 · "))
    assert not page.errors
