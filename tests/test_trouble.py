"""What becomes of the store's file under the running program is told in words, and never ends it."""

import random
import shutil
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exporter.records import Request, Run
from exporter.store import Store
from exporter.store.fault import CutOff, Deleted, Replaced
from exporter.store.person import beside
from tests.program import Program, Samples, command, running, value

AT = datetime(2026, 3, 31, tzinfo=UTC)
CONFIG = """
store: { path: store.duckdb }
evaluation_interval: 5s
sources:
  - { name: desk, type: files, path: rows.csv, record: request, interval: 1h }
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    rows = [f"{n},2026-03-01T10:00:00Z" for n in range(500)]
    (tmp_path / "rows.csv").write_text("\n".join(["id,opened_at", *rows]) + "\n")
    (tmp_path / "outcome.yaml").write_text(CONFIG)
    return tmp_path / "outcome.yaml"


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


def cut(path: Path) -> None:
    with path.open("r+b") as opened:
        opened.truncate(20_000)


@pytest.mark.parametrize(("do", "kind"), [(remove, Deleted), (replace, Replaced), (cut, CutOff)])
def test_what_became_of_the_file_is_noticed(tmp_path: Path, do: object, kind: type) -> None:
    path = tmp_path / "store.duckdb"
    with Store.open(path) as store:
        store.write("s", [Run(id=str(n), url=str(n * 7919)) for n in range(5000)], {})
        with store.reading() as reader:
            reader.execute("checkpoint")
        before = store.trouble()
        do(path)  # type: ignore[operator] # one of the functions above
        after = store.trouble()

    assert before is None
    assert type(after) is kind


def faults(samples: Samples, kind: str) -> float:
    return value(samples, "outcome_store_faults_total", fault=kind) or 0.0


async def seen(program: Program, kind: str) -> Samples:
    return await program.until(lambda found: faults(found, kind) >= 2)


@pytest.mark.parametrize(("do", "kind", "words"), [
    (remove, "deleted", "its file was deleted or moved away while in use"),
    (replace, "replaced", "its file was replaced by another while in use"),
])  # fmt: skip
async def test_the_program_says_once_what_became_of_its_store_and_serves_on(
    config: Path, do: object, kind: str, words: str
) -> None:
    path = config.parent / "store.duckdb"
    async with running(config) as program:
        ready = await program.until(lambda found: value(found, "outcome_backlog") == 500)
        do(path)  # type: ignore[operator] # one of the functions above
        samples = await seen(program, kind)
        page, note = await program.get("/"), await program.get("/-/ready")
        code = await program.stopped()
    again, out, err = await command("once", folder=config.parent)

    assert (value(ready, "outcome_backlog"), value(samples, "outcome_backlog")) == (500, 500)
    assert (value(ready, "outcome_store_usable"), value(samples, "outcome_store_usable")) == (1, 0)
    assert [words in text for text in (page, note)] == [True, True]
    assert sum(words in line for line in program.log) == 1
    assert not [line for line in program.log if "Traceback" in line]
    assert (code, again) == (0, 0), err
    assert 'outcome_store_records{record="request"} 500.0' in out


async def test_a_store_that_is_cut_off_under_the_program_costs_no_traceback(config: Path) -> None:
    async with running(config) as program:
        await program.until(lambda found: value(found, "outcome_backlog") == 500)
        cut(config.parent / "store.duckdb")
        await program.until(
            lambda found: faults(found, "truncated") + faults(found, "damaged") + faults(found, "failed") >= 2
        )
        page, served = await program.get("/"), await program.samples()
        await program.stopped()

    assert "Store: " in page
    assert value(served, "outcome_backlog") == 500
    assert not [line for line in program.log if "Traceback" in line]
    assert len([line for line in program.log if "level=error" in line]) <= 3


FLIPS = 120
READ_ALL = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from exporter.records import Request, Run
from exporter.store import Store, StoreError
at = datetime(2026, 3, 31, tzinfo=UTC)
for line in sys.stdin:
    try:
        with Store.open(Path(line.strip())) as store:
            store.begin("s", "print", at)
            store.counts(), store.newest("s", at), store.reached(at), store.frozen_baselines()
            with store.reading() as reader:
                reader.execute("select * from run").fetchall(), reader.execute("select * from request").fetchall()
            store.write("s", [Run(id=str(n), url="x") for n in range(5100)], {})
            store.retain(at, 0.1)
            store.rewrite()
        print("well", flush=True)
    except StoreError as error:
        print(type(error).__name__, flush=True)
"""


def flipped(whole: bytes, chance: random.Random) -> bytes:
    """Some bits turned: in the headers, near the beginning, or anywhere."""
    found = bytearray(whole)
    reach = chance.choice([12_288, 300_000, len(whole)])
    for _ in range(chance.choice([1, 1, 4, 64])):
        found[chance.randrange(min(reach, len(whole)))] ^= 1 << chance.randrange(8)
    return bytes(found)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["file", "log"])
def test_flipped_bits_anywhere_give_words(tmp_path: Path, which: str) -> None:
    path, chance = tmp_path / "whole.duckdb", random.Random(20260331)
    with Store.open(path) as store:
        store.begin("s", "print")
        store.write("s", [Run(id=str(n), url=str(n * 7919), started_at=AT) for n in range(5000)], {"n": 1})
        store.write("s", [Request(id=str(n), opened_at=AT) for n in range(2000)], {"n": 2})
        with store.reading() as reader:
            reader.execute("checkpoint")
        store.write("s", [Run(id=f"late-{n}", url=str(n * 7919)) for n in range(500)], {"n": 3})
        file, log = path.read_bytes(), path.with_name("whole.duckdb.wal").read_bytes()
    said: Counter[str] = Counter()
    with subprocess.Popen(
        [sys.executable, "-c", READ_ALL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        for number in range(FLIPS):
            damaged = tmp_path / f"{number}.duckdb"
            damaged.write_bytes(flipped(file, chance) if which == "file" else file)
            damaged.with_name(f"{damaged.name}.wal").write_bytes(flipped(log, chance) if which == "log" else log)
            shutil.copy(beside(path), beside(damaged))
            print(damaged, file=process.stdin, flush=True)
            said[process.stdout.readline().strip() or f"ended at {number}"] += 1
            for each in tmp_path.glob(f"{number}.*"):
                each.unlink()
        process.stdin.close()
        errors = process.stderr.read() if process.stderr else ""

    assert "Traceback" not in errors
    assert said.total() == FLIPS
    assert set(said) <= {"well", "Damaged", "NotAStore", "NewerFormat", "StoreError"}
    assert said["Damaged"] > FLIPS / 2
