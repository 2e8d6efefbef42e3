"""A JupyterLab to look at, and the browser to look with; skipped, with the reason, where there is none."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip


def pytest_collection_modifyitems(items):
    """Marks the tests of this folder as skipped where nothing could be opened."""
    if CHROMIUM is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="no Chromium on this machine: apt-get install chromium"))


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(command: list[str], folder: Path, settings: Path, port: int) -> Iterator[str]:
    """The address of a JupyterLab that the command starts, with a configuration and workspaces of its own."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={
            **os.environ, "JUPYTER_CONFIG_DIR": str(settings), "JUPYTERLAB_WORKSPACES_DIR": str(settings / "spaces"),
            "IPYTHONDIR": str(settings / "ipython"),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(address + "api", timeout=2).close()
                break
            except OSError:
                time.sleep(0.5)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


@pytest.fixture
def lab(tmp_path):
    """lab(command, folder): a context with the address of a lab; "{port}" in the command is filled in."""

    def start(command: list[str], folder: Path):
        port = free_port()
        return serving([part.format(port=port) for part in command], folder, tmp_path / "jupyter", port)

    return start


# What JupyterLab itself says when a kernel is restarted before its debugger has answered.
HARMLESS = ("Could not restore the debugger state",)


def _noted(said, errors: list[str]) -> None:
    if said.type == "error" and not said.text.startswith(HARMLESS):
        errors.append(said.text)


@pytest.fixture
def page():
    """A page of headless Chromium; `page.errors` holds what its console called an error."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser test")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        opened = browser.new_page(viewport={"width": 1400, "height": 1000})
        opened.errors = []
        opened.on("console", lambda said: _noted(said, opened.errors))
        opened.on("pageerror", lambda error: opened.errors.append(str(error)))
        yield opened
        browser.close()


# On a busy machine a page is asked before its application is there.
AT_REST = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


@pytest.fixture
def kernel_at_rest(page):
    """Waits until the notebook that is open has a kernel with nothing to do."""
    return lambda: page.wait_for_function(AT_REST, timeout=60_000)


LAB = [
    sys.executable, "-m", "jupyterlab", "--no-browser", "--port", "{port}", "--ServerApp.port_retries=0",
    "--IdentityProvider.token=", "--allow-root", "--expose-app-in-browser",
]  # fmt: skip


@pytest.fixture
def lab_command() -> list[str]:
    """Starts JupyterLab, with its application within reach of a page's scripts."""
    return LAB
