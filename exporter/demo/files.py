"""The demo's records that come from no platform: JSON Lines files, appended to whenever something changes."""

import dataclasses
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from exporter.demo.stories import Filed, as_of
from exporter.records import (
    Account,
    Activity,
    Audit,
    Cost,
    Opportunity,
    Request,
    Run,
    ServiceLevel,
    Workflow,
)

NAMES: dict[type[Filed], str] = {
    Request: "conversations",
    Opportunity: "opportunities",
    Run: "runs",
    Workflow: "workflows",
    Account: "accounts",
    Activity: "activities",
    Audit: "audit",
    Cost: "costs",
    ServiceLevel: "service-levels",
}
"""Record type -> what its file is called."""
COLUMNS = {record: [each.name for each in dataclasses.fields(record) if each.name != "source"] for record in NAMES}


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
            lines.setdefault(type(record), []).append(line(record, at))
        for kind, added in lines.items():
            with self.paths[kind].open("a") as file:
                file.writelines(added)


def line(record: Filed, at: datetime) -> str:
    """A record as it stands at an instant, as one line of JSON without what is not known."""
    columns = {name: getattr(record, name) for name in COLUMNS[type(record)]} | as_of(record, at)
    return ENCODER.encode({name: value for name, value in columns.items() if value is not None}) + "\n"


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


ENCODER = json.JSONEncoder(default=stamp)
