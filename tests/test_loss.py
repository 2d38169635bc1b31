"""What cannot be read withdraws the figures of the windows it lies in: by files, a store and `once`."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from exporter.catalogue.kpi import catalogue
from exporter.cli.table import kpi_table
from exporter.config import read_config
from exporter.evaluation.instant import evaluate
from exporter.evaluation.range import Instants, evaluations
from exporter.explain import summary
from exporter.explain.query import Question
from exporter.runtime import OnceResult, explained, once, open_store, statuses
from exporter.server.cards import card

pytestmark = pytest.mark.slow

AT = datetime(2026, 3, 12, 6, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
HEADER = "id,opened_at,resolved_at,outcome,team\n"
WINDOWS = ["1d", "7d", "90d"]
WATCHED = {"requests", "resolution_seconds", "backlog"}


def rows(name: str, days: range, *, each: int = 20, word: str = "resolved", team: str = "it", time: str = "") -> str:
    """So many requests a day, a number of days ago."""
    lines = []
    for day in days:
        for i in range(each):
            opened = AT - day * DAY - HOUR
            begun = time or opened.isoformat()
            ended = time or (opened + timedelta(minutes=30)).isoformat()
            lines.append(f"{name}-{day}-{i},{begun},{ended},{word},{team}\n")
    return "".join(lines)


class Desk:
    """A folder of exports, and an exporter that reads it at instants."""

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, path / "exports"
        self.folder.mkdir()
        self.configure()

    def configure(self, **options: Any) -> None:
        source = {"name": "desk", "type": "files", "path": f"{self.folder}/*.csv", "record": "request"}
        text = {
            "store": {"path": str(self.path / "outcome.duckdb")},
            "windows": WINDOWS,
            "sources": [source | options],
            "labels": {"request": ["team"]},
            "kpis": {name: {"enabled": False} for name in catalogue() if name not in WATCHED},
        }
        (self.path / "outcome.yaml").write_text(yaml.safe_dump(text))
        self.config = read_config(self.path / "outcome.yaml")

    def write(self, name: str, *parts: str, at: datetime = AT - HOUR, header: str = HEADER) -> None:
        file = self.folder / name
        file.write_text(header + "".join(parts))
        os.utime(file, (at.timestamp(), at.timestamp()))

    async def once(self, at: datetime = AT) -> OnceResult:
        with open_store(self.config) as store:
            return await once(self.config, store, lambda: at, at=None, polls=True)

    async def published(self, at: datetime = AT, kpi: str = "requests") -> list[str | None]:
        """The windows that a KPI is published in, after a poll."""
        return windows_of(await self.once(at), kpi)

    def kpis(self, found: OnceResult) -> list[dict[str, Any]]:
        with open_store(self.config) as store:
            sources = statuses(self.config, store, AT)
            return summary.rows(found.evaluation, self.config.plan, sources)

    def explain(self, window: str, segment: Mapping[str, str] = {}) -> dict[str, Any]:
        with open_store(self.config) as store:
            sources = statuses(self.config, store, AT)
            asked = Question(kpi="requests", window=window, segment=dict(segment), at=None)
            return explained(self.config, store, AT, sources, asked)


def windows_of(found: OnceResult, kpi: str = "requests") -> list[str | None]:
    figures = [figure.window for figure in found.evaluation.figures if figure.kpi == kpi]
    return sorted({*figures}, key=lambda window: WINDOWS.index(window or "90d"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_a_word_that_is_new_since_yesterday_withdraws_the_short_windows(desk: Desk) -> None:
    desk.write("a.csv", rows("old", range(1, 90)))
    desk.write("b.csv", rows("new", range(1), word="erledigt"))
    found = await desk.once()

    assert windows_of(found) == ["90d"]
    assert windows_of(found, "resolution_seconds") == ["90d"]
    assert "requests" not in found.evaluation.absent
    assert "'erledigt' is none of" in found.failed["desk"]


async def test_figures_are_back_once_the_config_knows_the_word(desk: Desk) -> None:
    desk.write("a.csv", rows("old", range(1, 90)))
    desk.write("b.csv", rows("new", range(1), word="erledigt"))
    before = await desk.published()
    desk.configure(fields={"outcome": {"field": "outcome", "map": {"erledigt": "resolved"}}})
    found = await desk.once()

    assert (before, windows_of(found)) == (["90d"], WINDOWS)
    assert (found.failed, found.evaluation.sources) == ({}, {})


async def test_a_loss_leaves_each_window_as_time_goes_on_however_often_it_is_read_again(desk: Desk) -> None:
    desk.write("a.csv", rows("old", range(-9, 90)))
    found = {}
    for days in (0, 2, 9):
        at = AT + days * DAY
        desk.write(
            "b.csv", rows("new", range(1), word="erledigt"), rows("more", range(-days, -days + 1), each=1), at=at
        )
        found[days] = await desk.published(at)

    assert found == {0: ["90d"], 2: ["1d", "90d"], 9: WINDOWS}


async def test_what_has_no_time_that_can_be_read_was_when_it_was_first_seen(desk: Desk) -> None:
    desk.write("a.csv", rows("old", range(-9, 90)))
    first = await desk.published()
    found = {}
    for days in (0, 2, 9):
        at = AT + days * DAY
        more = rows("more", range(-days, -days + 1), each=1)
        desk.write("b.csv", rows("new", range(1), time="2026-03-12 05:00"), more, at=at)
        found[days] = await desk.published(at)

    assert first == WINDOWS
    assert found == {0: ["90d"], 2: ["1d", "90d"], 9: WINDOWS}


@pytest.mark.parametrize(("lost", "expected"), [(80, WINDOWS), (120, [])])
async def test_what_has_no_time_at_the_first_sync_may_be_of_any_time(
    desk: Desk, lost: int, expected: list[str]
) -> None:
    desk.write("a.csv", rows("old", range(90)), rows("odd", range(1), each=lost, time="2026-03-12 05:00"))
    found = await desk.once()

    assert windows_of(found) == expected
    assert found.evaluation.absent.get("requests") == (None if expected else "unreadable")


async def test_what_nothing_could_be_read_of_is_unreadable_in_every_window(desk: Desk) -> None:
    desk.write("a.csv", rows("old", range(300, 310), word="erledigt"))
    found = await desk.once()

    assert windows_of(found) == []
    assert found.evaluation.absent["requests"] == "unreadable"
    assert [*found.failed] == ["desk"]


async def test_a_team_is_withdrawn_in_its_windows_and_others_are_not(desk: Desk) -> None:
    desk.write("a.csv", rows("old", range(90), each=60), rows("hr", range(1, 90), each=2, team="hr"))
    desk.write("b.csv", rows("new", range(1), each=2, word="erledigt", team="hr"))
    found = await desk.once()
    figures = {(f.window, dict(f.segment)["team"]) for f in found.evaluation.figures if f.kpi == "requests"}

    assert figures == {("1d", "it"), ("7d", "it"), ("90d", "it"), ("90d", "hr")}
    assert "without hr: too many records could not be read" in table(desk, found, "1d")
    assert desk.explain("1d", {"team": "hr"})["absent"] == "unreadable"
    assert desk.explain("1d", {"team": "it"})["absent"] is None


async def test_a_nightly_file_that_cannot_be_read_weighs_what_others_like_it_hold(desk: Desk) -> None:
    for day in range(1, 90):
        desk.write(f"{day}.csv", rows("old", range(day, day + 1)), at=AT - day * DAY)
    desk.write("0.csv", rows("new", range(1)), header=HEADER.replace("outcome", "result"))
    found = await desk.once()

    assert windows_of(found) == ["90d"]
    assert "partial: 1 file cannot be read" in found.unread["desk"]


async def test_a_file_weighs_the_same_after_those_before_it_were_taken_away(desk: Desk) -> None:
    desk.configure(max_staleness="7d")
    desk.write("1.csv", rows("old", range(1, 90)), at=AT - DAY)
    await desk.once(AT - DAY)
    (desk.folder / "1.csv").unlink()
    desk.write("0.csv", rows("new", range(1)), header=HEADER.replace("outcome", "result"))

    assert await desk.published() == ["90d"]


async def test_a_mended_file_gives_the_figures_back(desk: Desk) -> None:
    desk.write("1.csv", rows("old", range(1, 90)), at=AT - DAY)
    desk.write("0.csv", rows("new", range(1)), header=HEADER.replace("outcome", "result"))
    before = await desk.published()
    desk.write("0.csv", rows("new", range(1)))
    found = await desk.once()

    assert (before, windows_of(found), found.unread) == (["90d"], WINDOWS, {})


async def test_a_file_that_cannot_be_read_leaves_each_window_as_time_goes_on(desk: Desk) -> None:
    desk.write("1.csv", rows("old", range(-9, 90)), at=AT - DAY)
    desk.write("0.csv", rows("new", range(1)), header=HEADER.replace("outcome", "result"))

    assert await desk.published() == ["90d"]
    assert await desk.published(AT + 2 * DAY) == ["1d", "90d"]
    assert await desk.published(AT + 9 * DAY) == WINDOWS


async def test_a_partial_source_is_told_beside_every_figure_that_it_feeds(desk: Desk) -> None:
    desk.write("1.csv", rows("old", range(1, 90)), at=AT - DAY)
    desk.write("0.csv", rows("new", range(1)), header=HEADER.replace("outcome", "result"))
    found = await desk.once()
    told = "partial: 1 file of desk cannot be read"
    setting = next(each for each in desk.config.plan.settings if each.kpi.name == "requests")
    shown = card(setting, desk.config.plan, [row for row in desk.kpis(found) if row["kpi"] == "requests"])

    assert told in table(desk, found, "90d")
    assert told in reason_of(table(desk, found, "1d"), "requests")
    assert "too many records of a source could not be read" in reason_of(table(desk, found, "1d"), "requests")
    assert told in str(shown["absent"] or shown["doubts"])
    assert "partial: 1 file cannot be read" in desk.explain("90d")["sources"][0]["state"]
    assert (desk.explain("1d")["absent"], desk.explain("90d")["absent"]) == ("unreadable", None)
    assert desk.explain("90d")["unreadable"] == {"all": ["1d", "7d"], "teams": {}}


async def test_history_withdraws_what_each_instant_alone_does(desk: Desk) -> None:
    desk.write("a.csv", rows("old", range(-5, 90)), rows("bad", range(3, 5), each=30, word="erledigt"))
    desk.write("b.csv", rows("new", range(1), each=50, time="2026-03-12 05:00"), at=AT)
    await desk.once()
    instants = Instants(first=AT - 6 * DAY, step=12 * HOUR, count=20)
    with open_store(desk.config) as store:
        fed_by = statuses(desk.config, store, AT)
        with store.reading() as reader:
            past = [
                (found.lost, sorted(map(str, found.figures)), found.absent)
                for found in evaluations(reader, desk.config.plan, instants, lambda _: fed_by)
            ]
        with store.reading() as reader:
            alone = [evaluate(reader, desk.config.plan, at, fed_by) for at in instants]

    assert past == [(found.lost, sorted(map(str, found.figures)), found.absent) for found in alone]
    assert len({tuple(sorted(found.sources["desk"].of_all)) for found in alone if found.sources}) > 1


def table(desk: Desk, found: OnceResult, window: str) -> str:
    out = StringIO()
    kpi_table(desk.kpis(found), window, AT, Console(file=out, width=400))
    return out.getvalue()


def reason_of(text: str, kpi: str) -> str:
    """The line above the names that a KPI is among."""
    without = text.partition("NO VALUE\n")[2].splitlines()
    at = next(i for i, line in enumerate(without) if kpi in line.strip().split(", "))
    return next(line for line in reversed(without[:at]) if not line.startswith(" "))
