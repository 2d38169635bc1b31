"""Situations of people who do this job, run against the program where they lie beside the checkout.

Each is a folder with a `run.sh COMMAND` that says what its user needs and what came.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CASES = ROOT.parent / "shared/cases"
COMMAND = Path(sys.executable).with_name("outcome-exporter")

ALSO = {"17": ROOT / "alerts", "26": ROOT / "deploy"}
"""What a case is given beside the command."""

CONFIGS = {
    "22": """
labels: { request: [team] }
sources:
  - name: desk
    type: files
    path: tickets.csv
    record: request
    columns: { on_hold_minutes: "" }
    fields: { on_hold_seconds: { field: on_hold_minutes, unit: minutes } }
"""
}
"""Configs with a key that was not there when the case was written."""

TO_COME = {
    "13": ("incident_event_log.csv", "column opened_at", "'1/11/2026 01:16' is not a time"),
    "14": ("jira.csv:1", "columns 8, 9 and 10 are all called 'Labels'"),
    "15": ("export.csv:1", "unknown column 'sep='"),
}
"""Exports that cannot be read yet: they fail, and say with what."""

SAYS_TOO_MUCH = {"18": "ten minutes old: read, or refused with words that name gzip: needed yes, got nothing"}
"""What a case complains of without reason: its `a || b && c` asks for words about a file that was read."""

found = sorted(path.parent for path in CASES.glob("*/run.sh"))


def number(case: Path) -> str:
    return case.name.partition("-")[0]


def cases(folders: Sequence[Path]) -> pytest.MarkDecorator:
    nothing = pytest.param(
        None, marks=pytest.mark.skip(reason="no situations lie beside the checkout (../shared/cases)")
    )
    return pytest.mark.parametrize("case", folders or [nothing], ids=lambda case: case.name if case else "none")


def laid(case: Path, folder: Path) -> Path:
    """A copy of a case that may be written to."""
    folder.mkdir(exist_ok=True)
    for source in (case, CASES / "_lib"):
        shutil.copytree(source, folder / source.name, copy_function=shutil.copyfile)
        (folder / source.name).chmod(0o700)
    copy = folder / case.name
    if number(case) in CONFIGS:
        (copy / "config.yaml").write_text(CONFIGS[number(case)])
    return copy


@cases([case for case in found if number(case) not in TO_COME])
def test_a_situation_ends_as_its_user_needs(case: Path, tmp_path: Path) -> None:
    arguments = [COMMAND, *filter(None, [ALSO.get(number(case))])]
    expected = [text for text in [SAYS_TOO_MUCH.get(number(case))] if text]
    for attempt in ("first", "second"):  # the time a case gives the program is its own, and short on a busy machine
        script = laid(case, tmp_path / attempt) / "run.sh"
        ended = subprocess.run(["bash", script, *arguments], capture_output=True, text=True, check=False, timeout=140)
        complaints = [line.partition(": ")[2] for line in ended.stdout.splitlines() if line.startswith("NOT AS NEEDED")]
        if complaints == expected:
            break

    assert "as needed" in ended.stdout, ended.stdout + ended.stderr
    assert complaints == expected, ended.stdout


@cases([case for case in found if number(case) in TO_COME])
def test_an_export_that_cannot_be_read_yet_fails_and_says_with_what(case: Path, tmp_path: Path) -> None:
    folder = laid(case, tmp_path)
    for path in folder.iterdir():
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 600))
    for command in (["once", "--at", "2026-11-25T00:00:00Z"], ["check", "--live"]):
        ended = subprocess.run(
            [COMMAND, *command, "--config.file", "config.yaml"], cwd=folder, capture_output=True, text=True, check=False
        )

        assert ended.returncode == 1, ended.stderr
        assert [
            text for text in TO_COME[number(case)] if text not in " ".join((ended.stdout + ended.stderr).split())
        ] == []
