"""nbval's reports on single submissions, as one JUnit file for the whole run."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path

COUNTS = ("tests", "failures", "errors", "skipped")
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def merged(reports: Iterable[tuple[str, Path]]) -> str:
    """One document of (name, report file); a report that is missing or damaged is left out."""
    suites = ElementTree.Element("testsuites", name="attention-rebuilt")
    for name, path in reports:
        try:
            found = ElementTree.parse(path).getroot().iter("testsuite")
        except (OSError, ElementTree.ParseError):
            continue
        for suite in found:
            suite.set("name", NOT_IN_XML.sub("?", name))
            suite.attrib.pop("hostname", None)
            suites.append(suite)
    for count in COUNTS:
        suites.set(count, str(sum(int(suite.get(count, 0)) for suite in suites)))
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
