"""The files that come with the exporter: rules, runbook, dashboards, example config, and what deployments need."""

import os
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("alerts", "dashboards", "deploy")
"""As in the checkout; pyproject.toml puts them into the wheel."""
SOURCES = ("views", ".")  # how the names of what they are only made from begin
PACKAGE = Path(__file__).parents[1]


def root() -> Path:
    """The folder above FOLDERS: inside an installed package, beside the package in a checkout and in the image."""
    inside = PACKAGE / "assets"
    return inside if inside.is_dir() else PACKAGE.parent


def files() -> Iterator[Path]:
    """Every file, as a path below root()."""
    for folder in FOLDERS:
        # The Helm chart reaches rules and dashboards by links, which a wheel does not know: there they are files.
        for place, _, names in sorted(os.walk(root() / folder, followlinks=True)):
            for name in sorted(names):
                relative = (Path(place) / name).relative_to(root())
                if not any(part.startswith(SOURCES) for part in relative.parts):
                    yield relative
