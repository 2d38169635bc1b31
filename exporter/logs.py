"""Log lines on standard error: logfmt or JSON, times in UTC."""

import json
import logging
from datetime import UTC, datetime
from typing import Literal

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/+-@")


class Formatter(logging.Formatter):
    """One line for each record, an exception as its last field."""

    def __init__(self, style: Literal["logfmt", "json"]) -> None:
        super().__init__()
        self._form = style

    def format(self, record: logging.LogRecord) -> str:
        level = {"warning": "warn", "critical": "error"}.get(record.levelname.lower(), record.levelname.lower())
        fields = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": level,
            "logger": record.name.removeprefix("exporter."),
            "msg": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if self._form == "json":
            return json.dumps(fields, ensure_ascii=False)
        return " ".join(f"{key}={value if set(value) <= PLAIN else json.dumps(value)}" for key, value in fields.items())


def start(level: str, style: Literal["logfmt", "json"]) -> None:
    """Sends what the exporter logs to standard error, and of other libraries the warnings."""
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter(style))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("exporter").setLevel(LEVELS[level])
