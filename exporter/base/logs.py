"""Log lines on standard error, as logfmt or JSON, with times in UTC. Repeated lines are written once in a while."""

import json
import logging
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Literal

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
QUIET_SECONDS = 600.0
MOST_KNOWN = 1000
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/+-@")


class Formatter(logging.Formatter):
    """One line for each record, an exception as its last field."""

    def __init__(self, style: Literal["logfmt", "json"]) -> None:
        super().__init__()
        self._form = style

    def format(self, record: logging.LogRecord) -> str:
        level = {"warning": "warn", "critical": "error"}.get(record.levelname.lower(), record.levelname.lower())
        fields = {
            "ts": _instant(record.created),
            "level": level,
            "logger": record.name.removeprefix("exporter."),
            "msg": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if self._form == "json":
            return json.dumps(fields, ensure_ascii=False)
        return " ".join(f"{key}={value if set(value) <= PLAIN else json.dumps(value)}" for key, value in fields.items())


class RepeatFilter(logging.Filter):
    """Passes repeated lines once in ten minutes: lines of other libraries, and our own tracebacks.

    Our other lines limit themselves. Two lines are the same if they come from the same place and have the same kind,
    whatever they quote: libraries put addresses and objects into theirs, and strangers may choose what is in ours.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: OrderedDict[tuple[object, ...], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] == "exporter" and not record.exc_info:
            return True
        kind = _kind(record)
        at, unsaid = self._known.pop(kind, (-QUIET_SECONDS, 0))
        if 0 <= record.created - at < QUIET_SECONDS:
            self._known[kind] = at, unsaid + 1
            return False
        self._known[kind] = record.created, 0
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        if unsaid:
            record.msg, record.args = f"{record.getMessage()} (and {unsaid} times more since {_instant(at)})", None
        return True


def _kind(record: logging.LogRecord) -> tuple[object, ...]:
    error, place = None, None
    if record.exc_info:
        error, _, trace = record.exc_info
        while trace is not None:
            place, trace = (trace.tb_frame.f_code.co_filename, trace.tb_lineno), trace.tb_next
    return record.name, record.levelno, str(record.msg).partition("\n")[0], error, place


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def start(level: str, style: Literal["logfmt", "json"]) -> None:
    """Sends the exporter's log lines, and the warnings of other libraries, to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter(style))
    handler.addFilter(RepeatFilter())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("exporter").setLevel(LEVELS[level])
