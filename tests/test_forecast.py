"""What `check` says of the number of series: of what is stored, or of an example, and what will give way."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.__main__ import main
from exporter.config import read_config
from exporter.runtime import once, open_store

pytestmark = pytest.mark.slow

NOW = datetime.now(UTC).replace(microsecond=0)
CONFIG = """\
labels: {{ request: [team, category] }}
limits: {{ {limits} }}
sources:
  - {{ name: desk, type: files, path: "{folder}/requests.jsonl", record: request }}
"""


def config(folder: Path, limits: str = "series: 50000") -> Path:
    path = folder / "outcome.yaml"
    path.write_text(CONFIG.format(folder=folder, limits=limits))
    return path


def stored(folder: Path, teams: int, categories: int) -> None:
    """Requests of each team and category, read into the store."""
    times = {f"{name}_at": (NOW - timedelta(hours=ago)).isoformat() for name, ago in (("opened", 5), ("resolved", 3))}
    rows = [
        {"id": f"{team}-{category}", "team": f"team{team}", "category": f"c{category}", "outcome": "resolved", **times}
        for team in range(teams)
        for category in range(categories)
    ]
    (folder / "requests.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_config(config(folder))
    with open_store(found) as store:
        asyncio.run(once(found, store, lambda: NOW, at=None, polls=True))


def said(path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        main(["check", "--config.file", str(path)])

    assert ended.value.code == 0
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("series: ")]


def test_without_a_store_an_example_is_reckoned_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(config(tmp_path), capsys)

    assert "for an example with 12 values of team, 12 of category" in lines[0]
    assert "gives way: distributions" in lines[1]
    assert not (tmp_path / "outcome.duckdb").exists()


def test_what_is_stored_is_reckoned_with_where_there_is_a_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(tmp_path, 2, 2)

    [line] = said(config(tmp_path), capsys)

    assert line.endswith("for what is stored; limits.series is 50,000, so nothing gives way")


def test_what_gives_way_is_said_and_at_the_end_that_teams_take_more_than_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(tmp_path, 4, 9)

    lines = said(config(tmp_path, "series: 200"), capsys)

    assert "with all values and distributions for what is stored; the limits allow" in lines[0]
    assert "series: gives way: of request, 9 values of category, 1 value of handled_by become `other`" in lines
    assert lines[-1] == (
        "series: more than limits.series, 200: up to 50 teams keep their names; raise it, configure fewer labels, "
        "or lower limits.teams"
    )
