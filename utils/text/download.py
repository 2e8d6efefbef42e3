"""Fetches a file once, resumes what broke off, and checks what came."""

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm  # tqdm.auto warns in every notebook of an environment without ipywidgets

from utils.errors import DataError

CHUNK = 1 << 16


def cache_folder(name: str) -> Path:
    """Where downloads are kept: $XDG_CACHE_HOME or ~/.cache, then attention-rebuilt/name."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "attention-rebuilt" / name


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(address: str, path: Path, checksum: str, way_out: str) -> Path:
    """Downloads `address` to `path` unless a file with that SHA-256 is already there. Returns `path`.

    What has arrived is kept as NAME.part and continued by the next call; `path` itself appears only whole and
    checked. Raises DataError, ending in the sentence `way_out`, without network or with a wrong checksum.
    """
    if path.exists() and sha256(path) == checksum:
        return path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _receive(address, part)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = f"error {error.code}" if hasattr(error, "code") else getattr(error, "reason", error)
        raise DataError(f"{address} cannot be fetched ({reason}): check the network, or {way_out}.") from None
    except OSError as error:
        raise DataError(f"{part} cannot be written ({error.strerror or error}): check the folder's rights.") from None
    if sha256(part) != checksum:
        part.unlink()
        raise DataError(f"{address} came with a wrong SHA-256, so it was thrown away: try again, or {way_out}.")
    os.replace(part, path)
    return path


def _receive(address: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing left to send: the part is whole, or is not ours; the checksum tells
            return
        raise
    with response, part.open("ab" if response.status == 206 else "wb") as file:
        total = have + int(response.headers.get("Content-Length") or 0) if response.status == 206 else None
        total = total or int(response.headers.get("Content-Length") or 0) or None
        start = have if response.status == 206 else 0
        name = part.name.removesuffix(".part")
        with tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=name, leave=False) as bar:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
        if total and bar.n < total:  # urllib does not mind a short answer
            raise ConnectionError(f"it broke off after {bar.n} of {total} bytes; the next try goes on from there")
