"""Sources of connectors that tests make on the spot."""

from types import ModuleType
from typing import Any

from exporter.collect.contract import Connector, Poll
from exporter.collect.http import HttpSettings
from exporter.collect.mapping import compiled
from exporter.collect.source import Source
from exporter.records import Record, Run


def connector(poll: Poll, records: tuple[type[Record], ...] = (Run,), **more: Any) -> ModuleType:
    """A connector that polls so; `more`: what else it has, such as REVISION."""
    module = ModuleType("connector")
    vars(module).update(RECORDS=records, poll=poll, **more)
    return module


def source(polled: Connector | ModuleType, *, url: str = "http://localhost", **more: Any) -> Source:
    """A source of a connector, polled every minute; nothing is mapped unless `more` says so."""
    made: Any = polled
    known = {
        "name": "flows",
        "type": "made-up",
        "connector": made,
        "options": None,
        "http": HttpSettings(url=url, attempts=1),
        "mapping": compiled({}, made.RECORDS),
        "records": made.RECORDS,
        "interval_seconds": 60,
        "initial_history_seconds": 86400,
        "max_staleness_seconds": 3600,
        "fingerprint": "print",
    }
    return Source(**{**known, **more})
