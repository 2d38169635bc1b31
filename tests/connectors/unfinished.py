"""The places of a connector that `outcome-exporter new connector` has marked, and nobody has filled in yet."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from exporter import scaffold

ROOT = Path(__file__).parents[2]
FILES = (
    "exporter/connectors/{}/**/*",
    "exporter/demo/fakes/{}.py",
    "exporter/demo/fakes/{}_*.py",
    "tests/connectors/{}/**/*",
    "tests/fakes/{}.py",
    "tests/fakes/{}_*.py",
)


def places(folder: str, root: Path = ROOT) -> Iterator[str]:
    """Each of them, as `file:line: what is to be filled in`. `folder`: of the connector."""
    found = [path for pattern in FILES for path in sorted(root.glob(pattern.format(folder)))]
    written = [str(path.relative_to(root)) for path in found if path.suffix in (".py", ".yaml")]
    return scaffold.places(root, written)


@cache
def _said(folder: str) -> str:
    return "\n".join(places(folder))


def refuse(folder: str) -> None:
    """Fails the test where a place of the connector is left: what is not filled in proves nothing."""
    if found := _said(folder):
        pytest.fail(
            f"the connector is not finished; fill in these places and delete their marks:\n{found}", pytrace=False
        )
