"""Where the course lives on the web: one place says it, and badges and set-up cells are made from it.

pyproject.toml decides, `[tool.attention-rebuilt] repository = "https://…"`; without it the address of git's remote
`origin`; without that there is none, and badges are left out.
"""

import re
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from utils.errors import ConfigError

BRANCH = "main"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
SSH = re.compile(r"(?:[\w.-]+@)?([\w.-]+\.[\w.-]+):(?!//)(.+)")  # git@github.com:owner/name.git


def repository(root: Path) -> str | None:
    """The address to clone the course from, or None."""
    return declared_repository(root) or remote_repository(root)


def declared_repository(root: Path) -> str | None:
    """The address that pyproject.toml declares. ConfigError when it is none that everyone can reach."""
    file = root / "pyproject.toml"
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
    declared = table.get("tool", {}).get("attention-rebuilt", {}).get("repository")
    if not declared:
        return None
    if not isinstance(declared, str) or (address := public_address(declared)) is None:
        raise ConfigError(f"{file}: repository is {declared!r}; it must look like https://github.com/owner/name.")
    return address


def remote_repository(root: Path) -> str | None:
    """The address of git's remote `origin`, as https and without credentials; None for a folder on this machine."""
    if not (root / ".git").exists():  # git would look further up, and find a repository that is not the course
        return None
    try:
        asked = subprocess.run(
            ["git", "remote", "get-url", "origin"], cwd=root, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return public_address(asked.stdout.strip())


def public_address(address: str) -> str | None:
    """An address as anyone could use it: https, no user, no password, no port of ssh. None for a path."""
    if match := SSH.fullmatch(address):
        return f"https://{match[1]}/{match[2].strip('/')}"
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port and parts.scheme in ("http", "https") else ""
    except ValueError:  # a port that is no number
        return None
    path = parts.path.strip("/")
    if parts.scheme not in ("https", "http", "ssh", "git") or not parts.hostname or not path:
        return None
    return f"https://{parts.hostname}{port}/{path}"


def colab_badge(address: str | None, path: str) -> str | None:
    """The Markdown of "Open in Colab" for a notebook of the repository; None where Colab cannot open it.

    Colab opens notebooks from GitHub only.
    """
    match = re.fullmatch(r"https://github\.com/([^/]+)/([^/]+?)(?:\.git)?", address or "")
    if match is None:
        return None
    link = f"https://colab.research.google.com/github/{match[1]}/{match[2]}/blob/{BRANCH}/{path}"
    return f"[![Open in Colab]({BADGE})]({link})"
