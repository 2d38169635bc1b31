"""Types of command line values: times and lengths of time."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from exporter.base import duration
from exporter.base.clock import now


class Instant(click.ParamType[datetime]):
    """A time with its offset from UTC, or a date, which means its beginning in UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time; write it like 2026-03-31T12:00:00Z or 2026-03-31", param, ctx)
        if moment.tzinfo is None:
            if len(value) > 10:
                self.fail(f"{value!r} has no offset from UTC; end it with Z or +01:00", param, ctx)
            moment = moment.replace(tzinfo=UTC)
        if moment > now():
            self.fail(f"{value!r} is in the future; write a past time", param, ctx)
        return moment.astimezone(UTC)


class Length(click.ParamType[timedelta]):
    """A length of time, such as 90d or 1h30m."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return timedelta(seconds=duration.seconds(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class Label(click.ParamType[tuple[str, str]]):
    """A label of a series and its value, such as job=outcome-exporter."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, text = value.partition("=")
        if not equals or not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) or name.startswith("__"):
            self.fail(f"{value!r} is not a label; write it like job=outcome-exporter", param, ctx)
        return name, text
