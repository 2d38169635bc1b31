"""History as a file: it goes on where it stopped, and is the same however it came about."""

import asyncio
import signal
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.evaluation.range import Instants
from exporter.publish.backfill import CHUNK, Job, begun, fill
from tests import deadline
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
    job = Job(instants=THREE_PARTS, output=tmp_path / "a.om")
    whole = filled(Job(instants=THREE_PARTS, output=tmp_path / "b.om"), Maker())
    with pytest.raises(KeyboardInterrupt):
        filled(job, Maker(most=2))
    rest = Maker()

    assert filled(job, rest) == whole
    assert rest.made == [THREE_PARTS.first + 2 * CHUNK * THREE_PARTS.step]
    assert not job.folder.exists()


def test_parts_made_with_other_settings_are_made_anew(tmp_path: Path) -> None:
    job = Job(instants=THREE_PARTS, output=tmp_path / "a.om")
    with pytest.raises(KeyboardInterrupt):
        filled(job, Maker(most=2))
    anew = Maker()
    filled(job, anew, same="others")

    assert len(anew.made) == 3


def asked(output: str, length: str = "3h") -> tuple[str, ...]:
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


async def test_a_folder_is_no_file_to_write_and_that_is_said_before_any_work(tmp_path: Path) -> None:
    config(tmp_path)
    (tmp_path / "there").mkdir()
    status, _, said = await command(*asked("there"), folder=tmp_path)

    assert (status, said) == (1, "outcome-exporter: --output there is a folder; give the name of a file\n")
    assert not (tmp_path / ".there.parts").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_interrupted_and_begun_again_it_is_the_same_file(tmp_path: Path, number: signal.Signals) -> None:
    bookings(tmp_path)
    config(tmp_path)
    await command("once", folder=tmp_path)
    await command(*asked("whole.om", "9h"), folder=tmp_path)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "exporter", *asked("cut.om", "9h"), cwd=tmp_path,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with deadline.within(60):
        while not (tmp_path / ".cut.om.parts" / "000000").exists():  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.01)
    process.send_signal(number)
    _, said = await process.communicate()
    cut = not (tmp_path / "cut.om").exists()
    status, _, _ = await command(*asked("cut.om", "9h"), folder=tmp_path)

    assert (cut, process.returncode != 0, status) == (True, True, 0)
    assert b"Traceback" not in said
    assert (tmp_path / "cut.om").read_bytes() == (tmp_path / "whole.om").read_bytes()
    assert not (tmp_path / ".cut.om.parts").exists()
