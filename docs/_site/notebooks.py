"""MkDocs hook: a notebook becomes a page, with the outputs that are stored in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each notebook; the notebook itself stays beside it, to be taken away."""
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        notebook = json.loads(Path(str(file.abs_src_path)).read_text())
        files.append(File.generated(config, file.src_uri[:-6] + ".md", content=page(notebook, file.name)))
    return files


def page(notebook: dict[str, Any], name: str) -> str:
    """Return a notebook as Markdown."""
    cells = [_text(cell) if cell["cell_type"] == "markdown" else _code(cell) for cell in notebook["cells"]]
    title, _, rest = "\n\n".join(cells).partition("\n")
    return f"{title}\n\n[Take the notebook: {name}.ipynb]({name}.ipynb)\n{rest}\n"


def _text(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def _code(cell: dict[str, Any]) -> str:
    return "\n\n".join([f"```python\n{_text(cell)}\n```", *map(_output, cell["outputs"])])


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        return f'<img alt="" src="data:image/png;base64,{"".join(data["image/png"]).strip()}">'
    if "text/html" in data:
        return "<div>" + "".join(data["text/html"]).replace("\n", "") + "</div>"
    return "```text\n" + "".join(output.get("text") or data.get("text/plain", "")).rstrip() + "\n```"
