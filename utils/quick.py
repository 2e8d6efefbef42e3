"""What makes a command start sooner."""

import sys


def without_iri_grammar() -> None:
    """Lets nbformat load a second sooner: it loads jsonschema, which compiles a grammar of international addresses.

    Nothing in a notebook's schema is such an address. For processes of our own: where JupyterLab runs, all is as usual.
    """
    sys.modules.setdefault("rfc3987_syntax", None)
