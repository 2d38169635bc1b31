"""The demo's records that come from no platform: JSON Lines files, appended to whenever something changes."""

import dataclasses
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from exporter.demo.stories import Filed, as_of
from exporter.records import Booking, Change, Cost, Incident, Request

NAMES: dict[type[Filed], str] = {
    Request: "conversations",
    Booking: "bookings",
    Incident: "incidents",
    Change: "changes",
    Cost: "costs",
}
"""Record type -> what its file is called."""


class Files:
    """One file for each type of record; of the lines with one id the last one counts."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.paths = {record: folder / f"{name}.jsonl" for record, name in NAMES.items()}
        for path in self.paths.values():
            path.touch()

    def tell(self, records: Iterable[Filed], at: datetime) -> None:
        """Appends the records as they stand at an instant."""
        lines: dict[type[Filed], list[str]] = {}
        for record in records:
            lines.setdefault(type(record), []).append(line(as_of(record, at)))
        for kind, added in lines.items():
            with self.paths[kind].open("a") as file:
                file.writelines(added)


def line(record: Filed) -> str:
    """A record as one line of JSON, without what is not known."""
    values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    known = {name: written(value) for name, value in values.items() if value is not None and name != "source"}
    return json.dumps(known) + "\n"


def written(value: Any) -> Any:
    return value.astimezone(UTC).isoformat(timespec="milliseconds") if isinstance(value, datetime) else value
