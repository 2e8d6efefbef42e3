"""Reads line-aligned text files, and says file and line when one of them is not as it should be."""

import gzip
import zlib
from pathlib import Path

from utils.errors import DataError

MAX_LINE_CHARACTERS = 4000  # a sentence of 4 000 characters is a damaged file, not a sentence


def read_lines(path: Path | str) -> list[str]:
    """The lines of a UTF-8 file, plain or .gz, stripped of surrounding white space.

    Accepts a byte-order mark and Windows line ends. Raises DataError, naming file and line, for a missing or
    damaged file, invalid UTF-8, an empty line and a line of more than 4 000 characters.
    """
    return decode_lines(_read_bytes(Path(path)), path)


def decode_lines(content: bytes, path: Path | str) -> list[str]:
    """As `read_lines`, from bytes already read; `path` names them in errors."""
    raw_lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if raw_lines[-1].strip() == b"":
        raw_lines.pop()
    if not raw_lines:
        raise DataError(f"{path} is empty: give one sentence a line.")
    return [_decode(raw, path, number) for number, raw in enumerate(raw_lines, start=1)]


def read_pairs(source_path: Path | str, target_path: Path | str) -> list[tuple[str, str]]:
    """Sentence pairs of two files in which line i of one translates line i of the other.

    Raises DataError as `read_lines` does, and when the line counts differ.
    """
    source, target = read_lines(source_path), read_lines(target_path)
    if len(source) != len(target):
        shorter, line = (source_path, len(source) + 1) if len(source) < len(target) else (target_path, len(target) + 1)
        raise DataError(
            f"{source_path} has {len(source)} lines and {target_path} has {len(target)}: line {line} is missing "
            f"in {shorter}, and line i of one file must translate line i of the other."
        )
    return list(zip(source, target, strict=True))


def _read_bytes(path: Path) -> bytes:
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rb") as file:
                return file.read()
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"There is no file {path}: check the path.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path} is not a complete gzip file: fetch or copy it again.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}): check the path and its rights.") from None


def _decode(raw: bytes, path: Path | str, number: int) -> str:
    try:
        line = raw.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {number}: byte {error.start + 1} is not valid UTF-8; save the file as UTF-8."
        ) from None
    if not line:
        raise DataError(
            f"{path}, line {number} is empty: remove it (and its partner, if another file translates this one)."
        )
    if len(line) > MAX_LINE_CHARACTERS:
        raise DataError(
            f"{path}, line {number} has {len(line)} characters, more than the {MAX_LINE_CHARACTERS} that one sentence "
            f"may have: split it, or remove it (and its partner, if another file translates this one)."
        )
    return line
