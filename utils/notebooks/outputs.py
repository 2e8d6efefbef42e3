"""Stored outputs made the same on every run: what a build writes depends on the sources, not on the hour."""

import base64
import re
import struct
from pathlib import Path

NBVAL_CONFIG = Path(__file__).with_name("nbval.cfg")
PNG = b"\x89PNG\r\n\x1a\n"
VOLATILE_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"tIME")  # Matplotlib's version and the like
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,16}\b")
SVG_ID = re.compile(r'(?<=["#])([pm])([0-9a-f]{10})(?=[")])')
REFUSED = "✗"  # how the text of a check that does not pass begins
WIDGET, PICTURE = "application/vnd.jupyter.widget-view+json", "image/png"


def sanitised(text: str) -> str:
    """A text output as it is stored: nbval.cfg, applied to it and to what it was made from, sees no difference.

    Ids of an SVG are numbered rather than blanked, as nbval.cfg does: clipping needs them apart.
    """
    text = ADDRESS.sub("at 0xADDRESS", text)
    text = re.sub(r"<dc:date>[^<]*</dc:date>", "<dc:date></dc:date>", text)
    text = re.sub(r"Matplotlib v[0-9.]+,", "Matplotlib,", text)
    numbers: dict[str, int] = {}
    return SVG_ID.sub(lambda match: f"{match[1]}{numbers.setdefault(match[0], len(numbers)):010x}", text)


def normalised(outputs: list[dict], execution_count: int) -> list[dict]:
    """A cell's outputs without what changes from run to run: plain JSON values, in the order they were made."""
    result: list[dict] = []
    for output in outputs:
        kind = output["output_type"]
        if kind == "stream":
            if result and result[-1]["output_type"] == "stream" and result[-1]["name"] == output["name"]:
                result[-1]["text"] += output["text"]  # where a stream is cut depends on the clock
                continue
            result.append({"output_type": kind, "name": output["name"], "text": output["text"]})
        elif kind == "error":
            name, value = output["ename"], sanitised(output["evalue"])
            result.append({"output_type": kind, "ename": name, "evalue": value, "traceback": [f"{name}: {value}"]})
        else:
            data = {mime: _normalised_data(mime, value) for mime, value in output["data"].items()}
            if PICTURE in data:
                data.pop(WIDGET, None)  # the picture stands there where no kernel runs
            kept = {"output_type": kind, "data": data, "metadata": dict(output.get("metadata", {}))}
            result.append(kept | ({"execution_count": execution_count} if kind == "execute_result" else {}))
    for output in result:
        if output["output_type"] == "stream":
            output["text"] = sanitised(output["text"])
    return result


def _normalised_data(mime: str, value):
    if mime == PICTURE:
        return plain_png(value)
    return sanitised(value) if isinstance(value, str) else value


def plain_png(encoded: str) -> str:
    """A base64-coded PNG without its text chunks; the pixels stay."""
    data = base64.b64decode(encoded)
    if not data.startswith(PNG):
        return encoded
    kept, at = [PNG], len(PNG)
    while at + 8 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunk = data[at : at + length + 12]  # length, kind, body, checksum
        if chunk[4:8] not in VOLATILE_CHUNKS:
            kept.append(chunk)
        at += length + 12
    return base64.b64encode(b"".join(kept)).decode("ascii") + "\n"


def fault(outputs: list[dict], private: list[str]) -> str | None:
    """Why outputs may not be stored, in words: a warning, a widget, a path of this machine. None when all is well."""
    for output in outputs:
        texts = [output.get("text", ""), output.get("evalue", "")]
        texts += [value for value in output.get("data", {}).values() if isinstance(value, str)]
        if output["output_type"] == "stream" and output["name"] == "stderr":
            return f"it writes to stderr: {_first_line(output['text'])!r}; mend the warning, or print to stdout."
        if WIDGET in output.get("data", {}) and PICTURE not in output["data"]:
            return "it shows a widget, which cannot be stored: give it a picture beside it, print, or draw a figure."
        for path in private:
            if any(path in text for text in texts):
                return f"it shows a path of this machine, {path}: shorten it."
    return None


def refused(outputs: list[dict]) -> str | None:
    """What a check says that refuses an answer: its text then starts with ✗. None when it passes."""
    for output in outputs:
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        if text.lstrip().startswith(REFUSED):
            return " ".join(text.split())[:300]
    return None


def _first_line(text: str) -> str:
    """The first line that says something, without the temporary file that a kernel names as the place of a warning."""
    lines = [line for line in text.splitlines() if line.strip()]
    return re.sub(r"^\S+\.py:(\d+): ", r"line \1: ", lines[0])[:200] if lines else ""
