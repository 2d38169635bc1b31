"""A folder of files that is polled, and what is stored of them."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from exporter.collect.http import Client, HttpSettings, Partial
from exporter.connectors import files
from exporter.connectors.files import Options
from exporter.records import Record, Request
from exporter.records.unreadable import LeftOut

AT = datetime(2026, 3, 31, 12, tzinfo=UTC)
OPENED = datetime(2026, 3, 30, 10, tzinfo=UTC)


@dataclass
class Folder:
    """A folder of files, and what is stored of them. Every write happens two minutes before AT, or `ago`."""

    path: Path
    cursor: Mapping[str, Any] = field(default_factory=dict)
    stored: dict[str, Record] = field(default_factory=dict)
    items: list[Any] = field(default_factory=list)
    skipped: int = 0
    partial: str = ""
    left_out: list[LeftOut] = field(default_factory=list)
    writes: int = 0

    def write(self, name: str, text: str | bytes, *, ago: float = 120, append: bool = False) -> Path:
        path = self.path / name
        with path.open("ab" if append else "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        self.touch(path, ago)
        return path

    def touch(self, path: Path, ago: float) -> None:
        self.writes += 1  # no two writes at one time
        moment = AT.timestamp() - ago + self.writes / 1000
        os.utime(path, (moment, moment))

    async def poll(self, pattern: str = "*", *, pages: int = 1_000_000, **options: Any) -> int:
        """Polls and stores, at most so many pages; how many rows came."""
        rows, self.partial = 0, ""
        chosen = Options(**{"path": str(self.path / pattern), "record": "request", **options})
        async with Client(HttpSettings(url=""), at=AT, since=AT) as client:
            try:
                async for page in files.poll(client, chosen, self.cursor):
                    self.stored |= {read.record.id: read.record for read in page.reads}
                    self.items += [read.item for read in page.reads]
                    self.cursor = json.loads(json.dumps(page.cursor))
                    rows += len(page.reads)
                    pages -= 1
                    if not pages:
                        break
            except Partial as error:
                self.partial = str(error)
            self.skipped, self.left_out = client.skipped.total(), client.left_out()
        return rows

    @property
    def unread(self) -> list[str]:
        """Where the rows stand that the last poll could not read."""
        return [each.place for each in self.left_out if each.whole and each.scope != "files"]

    def request(self, key: str) -> Request:
        found = self.stored[key]
        assert isinstance(found, Request)
        return found


def line(key: str, **columns: Any) -> str:
    return json.dumps({"id": key, "opened_at": OPENED.isoformat(), **columns}) + "\n"


def parquet(path: Path, columns: str, rows: int = 3) -> None:
    duckdb.execute(f"copy (select {columns} from range({rows}) t(i)) to '{path}'")
