"""MkDocs hook: equations as MathML, which browsers draw by themselves."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', flags=re.DOTALL)
SIZES = re.compile(r"\\[Bb]ig{1,2}[lrm]?(?![A-Za-z])")


def on_page_content(content: str, page: Any, config: Any, files: Any) -> str:
    """Return the page with its equations drawn; a command that is not understood ends the build."""
    return EQUATION.sub(lambda found: _drawn(found, page.file.src_uri), content)


def _drawn(found: re.Match[str], page: str) -> str:
    written = html.unescape(found[3]).strip()
    drawn = convert(SIZES.sub("", written), display="block" if found[2] == "[" else "inline")
    if "\\" in re.sub(r"<annotation.*?</annotation>", "", html.unescape(drawn)):
        raise PluginError(f"{page}: an equation is not understood: {written}")
    return f"<{found[1]}>{drawn}</{found[1]}>"
