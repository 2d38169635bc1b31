"""History as a file: it goes on where it stopped, and is the same however it came about."""

import asyncio
import signal
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter.evaluation.range import Instants
from exporter.publish.backfill import CHUNK, Job, alone, begun, fill
from tests import deadline
from tests.blocks import SERIES
from tests.program import command, running, value
from tests.test_program import bookings, config

pytestmark = pytest.mark.slow

TO = datetime.now(UTC).replace(second=0, microsecond=0)
LAST = datetime(2026, 3, 31, tzinfo=UTC)
THREE_PARTS = Instants(first=LAST - timedelta(hours=3 * CHUNK - 1), step=timedelta(hours=1), count=3 * CHUNK)


class Maker:
    """Makes parts, as long as it may."""

    def __init__(self, most: int = 100) -> None:
        self.most, self.made = most, list[datetime]()

    def __call__(self, chunk: Instants) -> Iterable[Sequence[str]]:
        if len(self.made) == self.most:
            raise KeyboardInterrupt
        self.made.append(chunk.first)
        return [("outcome_x", "", "# HELP\n"), ("outcome_x", "{}", f"outcome_x 1 {chunk.first.timestamp()}\n")]


def filled(job: Job, maker: Maker, same: str = "settings") -> str:
    fill(begun(job, same, open_end=False), maker, lambda _done, _of: None)
    return job.output.read_text()


def test_parts_that_are_made_are_not_made_again(tmp_path: Path) -> None:
    job = Job(instants=THREE_PARTS, output=tmp_path / "a.om", labels={})
    whole = filled(Job(instants=THREE_PARTS, output=tmp_path / "b.om", labels={}), Maker())
    with pytest.raises(KeyboardInterrupt):
        filled(job, Maker(most=2))
    rest = Maker()

    assert filled(job, rest) == whole
    assert rest.made == [THREE_PARTS.first + 2 * CHUNK * THREE_PARTS.step]
    assert not job.folder.exists()


def test_parts_made_with_other_settings_are_made_anew(tmp_path: Path) -> None:
    job = Job(instants=THREE_PARTS, output=tmp_path / "a.om", labels={})
    with pytest.raises(KeyboardInterrupt):
        filled(job, Maker(most=2))
    anew = Maker()
    filled(job, anew, same="others")

    assert len(anew.made) == 3


def asked(output: str, length: str = "100m") -> tuple[str, ...]:
    return ("backfill", "--from", length, "--step", "1m", "--to", TO.isoformat(), "--output", output)


async def test_beside_a_running_exporter_it_is_the_same_file_as_at_rest(tmp_path: Path) -> None:
    bookings(tmp_path)
    async with running(config(tmp_path)) as program:
        await program.until(lambda samples: value(samples, "outcome_no_show_ratio") is not None)
        beside = await command(*asked("beside.om"), folder=tmp_path)
        status = await program.stopped()
    at_rest = await command(*asked("rest.om"), folder=tmp_path)

    assert (beside[0], at_rest[0], status) == (0, 0, 0)
    assert "outcome_no_show_ratio{" in (tmp_path / "rest.om").read_text()
    assert (tmp_path / "beside.om").read_bytes() == (tmp_path / "rest.om").read_bytes()


async def test_the_seam_between_history_and_what_is_scraped_cannot_be_seen(tmp_path: Path) -> None:
    bookings(tmp_path)
    yesterday = (TO - timedelta(hours=30)).isoformat()
    (tmp_path / "bookings-old.jsonl").write_text(
        f'{{"id": "old", "starts_at": "{yesterday}", "outcome": "no_show", "team": "emea"}}\n'
    )
    kpis = "kpis: {no_show_ratio: {target: 0.1, owner: desk, baselines: {previous: {}, weekday_median: {}}}}\n"
    async with running(config(tmp_path, kpis)) as program:
        live = await program.until(lambda samples: value(samples, "outcome_no_show_ratio_baseline") is not None)
        await command(*asked("history.om", "1m"), "--label", "instance=desk:1", folder=tmp_path)
    families = text_string_to_metric_families((tmp_path / "history.om").read_text())  # type: ignore[no-untyped-call]  # the client has no types here
    history = {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}
    added = {"job": "outcome-exporter", "instance": "desk:1"}
    scraped = {
        (name, frozenset({**dict(labels), **added}.items())): n for (name, labels), n in live.items() if name in SERIES
    }

    assert {name for name, _ in history} >= {
        *("outcome_no_show_ratio_threshold", "outcome_no_show_ratio_target", "outcome_kpi_info"),
        *("outcome_kpi_absent", "outcome_no_show_ratio_baseline", "outcome_coverage_ratio"),
    }
    assert history == scraped


async def test_one_beside_another_on_the_same_file_says_so_and_does_no_harm(tmp_path: Path) -> None:
    bookings(tmp_path)
    config(tmp_path)
    with alone(tmp_path / "there.om"):
        status, _, said = await command(*asked("there.om"), folder=tmp_path)
    after = await command(*asked("there.om"), folder=tmp_path)

    assert (status, after[0]) == (1, 0)
    assert said == (
        "outcome-exporter: there.om: another backfill is writing this file; "
        "wait until it has ended, or give another --output\n"
    )
    assert not (tmp_path / ".there.om.lock").exists()


async def test_a_label_that_series_have_already_is_refused(tmp_path: Path) -> None:
    bookings(tmp_path)
    config(tmp_path)
    await command("once", folder=tmp_path)
    status, _, said = await command(*asked("there.om", "1m"), "--label", "team=x", folder=tmp_path)

    assert (status, "--label team: outcome_" in said, "has a label of this name; give another one" in said) == (
        1,
        True,
        True,
    )


async def test_a_folder_is_no_file_to_write_and_that_is_said_before_any_work(tmp_path: Path) -> None:
    config(tmp_path)
    (tmp_path / "there").mkdir()
    status, _, said = await command(*asked("there"), folder=tmp_path)

    assert (status, said) == (1, "outcome-exporter: --output there is a folder; give the name of a file\n")
    assert not (tmp_path / ".there.parts").exists()


async def test_interrupted_and_begun_again_it_is_the_same_file(tmp_path: Path) -> None:
    bookings(tmp_path)
    config(tmp_path)
    await command("once", folder=tmp_path)
    await command(*asked("whole.om"), folder=tmp_path)
    ended: list[tuple[bool, bool, bool]] = []
    for number in (signal.SIGINT, signal.SIGKILL):
        output = f"{number.name}.om"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "exporter", *asked(output), cwd=tmp_path,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await deadline.until((tmp_path / f".{output}.parts" / "000000").exists, 60)
        process.send_signal(number)
        _, said = await process.communicate()
        ended.append(((tmp_path / output).exists(), process.returncode == 0, b"Traceback" in said))
        await command(*asked(output), folder=tmp_path)

    assert ended == [(False, False, False)] * 2
    for output in ("SIGINT.om", "SIGKILL.om"):
        assert (tmp_path / output).read_bytes() == (tmp_path / "whole.om").read_bytes()
        assert not (tmp_path / f".{output}.parts").exists()
