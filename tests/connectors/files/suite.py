"""Files for the contract suite: two of JSON Lines, one of CSV, one of Parquet, in one glob."""

import csv
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from exporter.connectors.files import Options
from tests.connectors.world import AT, World


def rows(first: int, count: int) -> list[dict[str, Any]]:
    """Requests opened an hour apart; every third one is still open."""
    made = []
    for number in range(first, first + count):
        opened_at = AT - timedelta(hours=100 - number)
        ended = number % 3 > 0
        made.append(
            {
                "id": f"r{number}",
                "opened_at": opened_at.isoformat(),
                "resolved_at": (opened_at + timedelta(minutes=20)).isoformat() if ended else None,
                "outcome": "resolved" if ended else "open",
                "channel": "chat",
                "requester": f"user{number % 4}@customer.test",
            }
        )
    return made


def write_lines(path: Path, items: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(item) + "\n" for item in items))


def write_csv(path: Path, items: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(items[0]))
        writer.writeheader()
        writer.writerows(items)


def world(folder: Path) -> World:
    write_lines(folder / "a.jsonl", rows(0, 12))
    write_csv(folder / "b.csv", rows(12, 7))
    write_lines(folder / "source.ndjson", rows(19, 6))
    duckdb.execute(
        f"copy (select * replace (opened_at::timestamptz as opened_at) from read_json('{folder}/source.ndjson')) "
        f"to '{folder}/c.parquet'"
    )
    (folder / "source.ndjson").rename(folder / "d.ndjson.1")
    for number, path in enumerate(sorted(folder.iterdir())):
        os.utime(path, (AT.timestamp() - 7200 + number, AT.timestamp() - 7200 + number))

    def change(key: str, column: str, value: Any) -> str:
        items = rows(0, 12)
        next(item for item in items if item["id"] == key)[column] = value
        write_lines(folder / "a.jsonl", items)
        return key

    def delete() -> str:
        write_lines(folder / "a.jsonl", [item for item in rows(0, 12) if item["id"] != "r3"])
        return "r3"

    worked, zones = count(1), list[tzinfo]([UTC])

    def work(at: datetime) -> str:
        written = at.astimezone(zones[-1]).isoformat()
        items = [{"id": f"w{next(worked)}", "opened_at": written, "resolved_at": written}]
        with (folder / "a.jsonl").open("a") as file:
            file.writelines(json.dumps(item) + "\n" for item in items)
        os.utime(folder / "a.jsonl", (at.timestamp() - 3600, at.timestamp() - 3600))
        return items[0]["id"]

    def absurd() -> Callable[[], None]:
        write_lines(folder / "z.jsonl", rows(50, 3))
        os.utime(folder / "z.jsonl", (AT.timestamp() + 86400 * 365 * 50,) * 2)
        return (folder / "z.jsonl").unlink

    def start_over() -> set[str]:
        for path in folder.iterdir():
            if path.name != "a.jsonl":
                path.unlink()
        write_lines(folder / "a.jsonl", rows(10, 5))
        return {f"r{number}" for number in range(10, 15)}

    return World(
        app=None,
        options=Options(path=f"{folder}/*", record="request", page_size=5),
        unknown_word=lambda: change("r4", "outcome", "pondering"),
        missing_time=lambda: change("r4", "opened_at", None),
        delete=delete,
        work=work,
        absurd=absurd,
        start_over=start_over,
        about_one="files are not asked",
        place="a file has no pages",
        zone=zones.append,
        quiet_requests=0,
    )
