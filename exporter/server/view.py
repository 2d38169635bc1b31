"""The address of the page that explains a value."""

from typing import Any
from urllib.parse import urlencode


def link(kpi: str, **query: Any) -> str:
    """The page that explains a KPI."""
    return "/explain?" + urlencode({"kpi": kpi} | {name: text for name, text in query.items() if text})
