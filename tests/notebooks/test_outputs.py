"""What is stored does not change from run to run, and nbval sees no difference between it and what was shown."""

import base64
import re

import nbval.plugin
import pytest

from utils.notebooks.outputs import NBVAL_CONFIG, fault, normalised, plain_png, sanitised

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="  # 1 × 1, grey


def svg(salt):
    return (
        f"<dc:date>20{salt}-01-01T00:00</dc:date><dc:title>Matplotlib v3.{salt}.2, https://matplotlib.org/</dc:title>"
        f'<path id="m{salt * 5}" d="M 0 1234567890"/><clipPath id="p{salt * 5}"/><g clip-path="url(#p{salt * 5})"/>'
        f'<use xlink:href="#m{salt * 5}"/>'
    )


def nbval_sanitised(text):
    for regex, replacement in nbval.plugin.get_sanitize_patterns(NBVAL_CONFIG.read_text(encoding="utf-8")):
        text = re.sub(regex, replacement, text)
    return text


TEXTS = ["<object at 0x7f2c5f80b100>", svg("24"), "loss 0.123456, 0x7f80, 3.9 s, 17 %"]


@pytest.mark.parametrize("text", TEXTS)
def test_storing_twice_is_storing_once_and_nbval_agrees(text):
    stored = sanitised(text)
    assert sanitised(stored) == stored
    assert nbval_sanitised(stored) == nbval_sanitised(text)


def test_what_changes_from_run_to_run_goes():
    assert sanitised(svg("24")) == sanitised(svg("25"))
    assert sanitised("<a at 0x7f2c5f80b100>") == sanitised("<a at 0x7fffffffff00>") == "<a at 0xADDRESS>"


def test_clip_paths_of_an_svg_still_fit():
    stored = sanitised(svg("24"))
    identifiers, links = re.findall(r'id="(\w+)"', stored), re.findall(r"#(\w+)", stored)
    assert len(set(identifiers)) == 2 and set(links) == set(identifiers)


@pytest.mark.parametrize("text", ["loss 0.123456", "3.9 s", "12 345 tokens/s", "0x7f80", "[1.5, 2.25] 1e-05"])
def test_no_number_is_swallowed(text):
    assert sanitised(text) == nbval_sanitised(text) == text


def test_a_png_keeps_its_pixels_and_loses_its_date():
    plain = base64.b64decode(PIXEL)
    at = plain.index(b"IDAT") - 4
    dated = plain[:at] + b"\x00\x00\x00\x04tEXtabcd\x00\x00\x00\x00" + plain[at:]
    assert base64.b64decode(plain_png(base64.b64encode(dated).decode())) == plain


def test_pieces_of_a_stream_are_joined_and_errors_shortened():
    stream = {"output_type": "stream", "name": "stdout"}
    error = {
        "output_type": "error",
        "ename": "ValueError",
        "evalue": "no",
        "traceback": ["\x1b[31mfile /home/me\x1b[0m"],
    }
    result = normalised([stream | {"text": "a at 0x7f2c"}, stream | {"text": "5f80b100\n"}, error], 3)
    assert result == [stream | {"text": "a at 0xADDRESS\n"}, error | {"traceback": ["ValueError: no"]}]


def test_results_carry_their_cells_number():
    shown = {"output_type": "execute_result", "data": {"text/plain": "1"}, "metadata": {}, "execution_count": 9}
    assert normalised([shown], 3) == [shown | {"execution_count": 3}]


@pytest.mark.parametrize(
    "output, words",
    [
        (
            {"output_type": "stream", "name": "stderr", "text": "\n/tmp/x.py:13: UserWarning: old\n  f()\n"},
            "'line 13: UserWarning: old'",
        ),
        (
            {"output_type": "stream", "name": "stdout", "text": "in /home/me/course/x"},
            "a path of this machine, /home/me",
        ),
        ({"output_type": "execute_result", "data": {"text/html": "/home/me"}}, "a path of this machine"),
        ({"output_type": "display_data", "data": {"application/vnd.jupyter.widget-view+json": {}}}, "widget"),
    ],
)
def test_outputs_that_may_not_be_stored(output, words):
    assert words in fault([output], ["/home/me"])


def test_other_outputs_may():
    assert fault([{"output_type": "stream", "name": "stdout", "text": "12"}], ["/home/me"]) is None


def test_a_widget_with_a_picture_is_stored_as_the_picture():
    shown = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "image/png": "", "text/plain": "a head"}
    output = {"output_type": "execute_result", "data": shown, "metadata": {}}
    assert fault([output], []) is None
    assert set(normalised([output], 1)[0]["data"]) == {"image/png", "text/plain"}
