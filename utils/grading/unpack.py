"""Every file of a submissions folder, those in zip files included, by a path that says where it lies.

Nothing is written to disk and no name is trusted: a member that points out of its archive or is too large is listed.
"""

import io
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from utils.errors import ConfigError
from utils.grading.reading import LARGEST
from utils.grading.texts import one_line

DEEPEST = 3  # archives within archives
MOST_MEMBERS = 50_000
MOST_BYTES = 4_000_000_000  # of one archive, unpacked
OTHER_ARCHIVES = (".tar", ".gz", ".tgz", ".bz2", ".tbz", ".xz", ".txz", ".zst", ".7z", ".rar")
NOT_UNPACKED = "It is an archive that the grader does not unpack: unpack it, or pack it as .zip."
DAMAGED = (
    zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError, ValueError, OverflowError, MemoryError,
    zlib.error, lzma.LZMAError, struct.error,
)  # fmt: skip
JUNK_FOLDERS = (".ipynb_checkpoints", "__MACOSX", "__pycache__", ".git", ".venv", "node_modules")


@dataclass(frozen=True)
class File:
    """A file as it was found. `path` uses /, and names archives like folders. `why_not`: why it cannot be read."""

    path: PurePosixPath
    data: bytes = b""
    why_not: str = ""
    changed: float = 0.0  # when, as far as that is known

    @property
    def junk(self) -> bool:
        """Whether a program left it behind: a checkpoint, a resource fork, a thing of the system's."""
        name = self.path.name
        return any(part in JUNK_FOLDERS for part in self.path.parts[:-1]) or name.startswith("._") or name in (
            ".DS_Store", "Thumbs.db", "desktop.ini",
        )  # fmt: skip


def files_in(place: Path) -> Iterator[File]:
    """All files of a folder or a zip file, or the one file itself, in the order of their names."""
    if not place.exists():
        raise ConfigError(f"There is no {place}: give the folder or the zip file with the notebooks.")
    if place.is_file():
        yield from _file(place, _shown(place.name), place.parent.resolve())
        return
    root, closed = place.resolve(), []
    for folder, folders, names in os.walk(place, onerror=closed.append):
        folders.sort()
        yield from _closed(closed, place)
        for name in [n for n in folders if os.path.islink(os.path.join(folder, n))]:
            relative = _shown(Path(folder, name).relative_to(place).as_posix())
            yield File(relative, why_not="It is a link to another folder, which is not followed: put the files there.")
        for name in sorted(names):
            path = Path(folder, name)
            yield from _file(path, _shown(path.relative_to(place).as_posix()), root)
    yield from _closed(closed, place)


def _closed(errors: list[OSError], place: Path) -> Iterator[File]:
    """Folders that could not be looked into."""
    while errors:
        error = errors.pop()
        name = os.path.relpath(error.filename or str(place), place)
        yield File(_shown(name), why_not=f"The folder cannot be read ({error.strerror or error}).")


def is_notebook_name(path: PurePosixPath) -> bool:
    """Whether a file may hold a notebook: .ipynb, what a browser or a phone makes of that, or no ending at all."""
    endings = [suffix.lower() for suffix in path.suffixes[-2:]]
    return endings[-1:] in ([], [".ipynb"], [".json"]) or endings[:1] == [".ipynb"] and endings[1] == ".txt"


def _shown(name: str) -> PurePosixPath:
    """A file's name as it can be told."""
    return PurePosixPath(one_line(name))


def _file(path: Path, relative: PurePosixPath, root: Path) -> Iterator[File]:
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            yield File(relative, why_not="It is a link to a place outside of the submissions, which is not followed.")
            return
        information = path.stat()
        if not stat.S_ISREG(information.st_mode):
            yield File(relative, why_not="It is no ordinary file (a pipe or a device).")
            return
        if information.st_size > LARGEST and path.suffix.lower() != ".zip":
            yield File(relative, why_not="It is larger than 200 MB.")
            return
        if path.suffix.lower() == ".zip":
            yield from _archive(path, relative, 1)
        elif path.suffix.lower() in OTHER_ARCHIVES:
            yield File(relative, why_not=NOT_UNPACKED)
        elif is_notebook_name(relative):
            yield File(relative, path.read_bytes(), changed=information.st_mtime)
        else:
            yield File(relative, changed=information.st_mtime)
    except OSError as error:
        yield File(relative, why_not=f"It cannot be read ({error.strerror or error}).")


def _archive(source: Path | io.BytesIO, relative: PurePosixPath, depth: int) -> Iterator[File]:
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS or sum(member.file_size for member in members) > MOST_BYTES:
                yield File(relative, why_not="The archive is larger than any class: is it really one of notebooks?")
                return
            for member in sorted(members, key=lambda member: member.filename):
                yield from _member(archive, member, relative, depth)
    except DAMAGED as error:
        yield File(relative, why_not=f"The archive is damaged ({error}): download it again.")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, relative: PurePosixPath, depth: int) -> Iterator[File]:
    name = member.filename.replace("\\", "/")
    inside = _shown(name)
    if member.is_dir():
        return
    path = relative / PurePosixPath(*[part for part in inside.parts if part not in ("/", "..")])
    if inside.is_absolute() or ".." in inside.parts or ":" in name[:3]:
        yield File(path, why_not=f"Its name in the archive, {name[:120]!r}, points out of it: such a file is not read.")
        return
    if stat.S_ISLNK(member.external_attr >> 16):
        yield File(path, why_not="It is a link inside of an archive, which is not followed.")
        return
    if member.flag_bits & 1:
        yield File(path, why_not="It is encrypted: unpack it first.")
        return
    if member.file_size > LARGEST and inside.suffix.lower() != ".zip":
        yield File(path, why_not="It is larger than 200 MB.")
        return
    if inside.suffix.lower() in OTHER_ARCHIVES:
        yield File(path, why_not=NOT_UNPACKED)
        return
    wanted = inside.suffix.lower() == ".zip" or is_notebook_name(inside)
    try:
        data = _bounded(archive, member) if wanted else b""
    except DAMAGED as error:
        yield File(path, why_not=f"It cannot be unpacked ({error}).")
        return
    if inside.suffix.lower() == ".zip":
        if depth >= DEEPEST:
            yield File(path, why_not="It is an archive in an archive in an archive: unpack it first.")
        else:
            yield from _archive(io.BytesIO(data), path, depth + 1)
    else:
        moment = 0.0
        yield File(path, data, changed=moment)


def _bounded(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A member's bytes, no more than it says it has."""
    with archive.open(member) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError("it is larger than 200 MB")
    return data
