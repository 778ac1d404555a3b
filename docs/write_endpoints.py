"""Write the tables of ``docs/explanation/endpoints.md`` from the code: ``python docs/write_endpoints.py``."""

from __future__ import annotations

from pathlib import Path

from cardiobind.tasks import REASONS, describe_tasks

PAGE = Path(__file__).parent / "explanation" / "endpoints.md"
MARKS = {"reasons": "<!-- reasons -->", "tasks": "<!-- tasks -->"}


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def tables() -> dict[str, str]:
    """Return the generated parts of the page."""
    found = describe_tasks().drop(columns=["metric"]).astype(str)
    named = [[f"`{row[0]}`", *row[1:]] for row in found.to_numpy().tolist()]
    reasons = [[f"`{reason}`", meaning] for reason, meaning in REASONS.items()]
    return {"reasons": table(["reason", "meaning"], reasons), "tasks": table(list(found.columns), named)}


def render(page: str) -> str:
    """Return the page with what is between each pair of marks written anew."""
    for name, text in tables().items():
        before, _, after = page.split(MARKS[name])
        page = f"{before}{MARKS[name]}\n{text}\n{MARKS[name]}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text()))
