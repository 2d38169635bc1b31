"""The records of an explanation as CSV."""

import csv
import io
from collections.abc import Mapping
from typing import Any


def csv_text(answer: Mapping[str, Any]) -> str:
    """The records as CSV; of a derived KPI its parts."""
    rows = answer.get("records", answer.get("parts", []))
    columns = answer.get("columns", ["kpi", "part", "title"])
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_harmless(row[column]) for column in columns] for row in rows)
    return out.getvalue()


def _harmless(content: Any) -> Any:
    # What begins like this is a formula to spreadsheets, and these texts come from strangers.
    return (
        f"'{content}" if isinstance(content, str) and content.startswith(("=", "+", "-", "@", "\t", "\r")) else content
    )
