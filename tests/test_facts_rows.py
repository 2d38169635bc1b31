"""Records in, rows of facts out: one small file for each hard rule, under tests/facts/<facts>/."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exporter.base import strict_yaml
from exporter.catalogue import facts
from exporter.evaluation.context import prepare, utc
from exporter.evaluation.rows import rows_at
from exporter.records import RECORDS
from tests import scenario
from tests.scenario import empty_store

FOLDER = Path(__file__).parent / "facts"
FILES = sorted(FOLDER.rglob("*.yaml"))
KNOWN = {"at", "settings", "window", "rows", *RECORDS}


def instant(text: str) -> str:
    """`03-31 12:00` as an instant of 2026."""
    return datetime.fromisoformat(f"2026-{text}+00:00").isoformat()


def written(path: Path) -> dict[str, Any]:
    """A file with its times in full, as a scenario has them."""
    found = dict(strict_yaml.load(path).data)
    assert found.keys() <= KNOWN, found.keys() - KNOWN

    def full(row: Mapping[str, Any]) -> dict[str, Any]:
        return {key: instant(value) if key.endswith("_at") or key in TIMES else value for key, value in row.items()}

    records = {name: [full(row) for row in found[name]] for name in RECORDS if name in found}
    return {**found, **records, "at": instant(found["at"])}


TIMES = ("day", "period_start", "period_end")


def shown(value: Any) -> Any:
    """A value of a row as a file writes it."""
    if isinstance(value, datetime):
        return value.strftime("%m-%d %H:%M")
    return round(float(value), 6) if isinstance(value, float | Decimal) else value


def rows(path: Path, given: Mapping[str, Any], folder: Path, columns: list[str]) -> list[dict[str, Any]]:
    """The rows of the facts after which a file's folder is named, in order."""
    with empty_store(folder) as store, store.reading() as reader:
        sources = scenario.fed(store, given)
        made, at = scenario.plan(given), scenario.at(given["at"])
        if "window" in given:  # the only one: rows are cut where others end
            made = replace(made, windows=[each for each in made.windows if each[0] == given["window"]])
        prepare(reader, made, at, sources, {path.parent.name})
        names = ", ".join(f'"{column}"' for column in columns)
        found = reader.execute(f"select {names} {rows_at(path.parent.name, made, utc(at))}").fetchall()
    return sorted(({c: shown(v) for c, v in zip(columns, row, strict=True)} for row in found), key=str)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_records_give_these_rows(path: Path, tmp_path: Path) -> None:
    given = written(path)
    expected = sorted(given["rows"], key=str)

    assert rows(path, given, tmp_path, list(expected[0])) == expected


def test_every_facts_file_has_such_a_file() -> None:
    assert sorted({path.parent.name for path in FILES}) == [*facts.every()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_such_a_file_fits_a_screen_and_says_what_it_shows(path: Path) -> None:
    lines = path.read_text().splitlines()

    assert len(lines) <= 30
    assert lines[0].startswith("# ")
