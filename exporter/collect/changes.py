"""A list that can be asked for what changed since an instant: from where on, and whether it is still the list it was.

An overlap is read again at every poll, for what enters the list late. A change that lies ahead of the poll moves
nothing: by a clock that is ahead it would hide all that comes before it. The items that changed last are remembered,
and are to be found again; see exporter.collect.recent.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from exporter.collect.http import Client
from exporter.collect.recent import WITNESSES, still_there
from exporter.records import Json, instant
from exporter.records.unreadable import ODD

Seen = tuple[datetime, str | None]


class Changes:
    """One poll of such a list. `since`: from where on to read it."""

    def __init__(self, client: Client, cursor: Json, overlap: timedelta) -> None:
        self._at, self._overlap = client.at, overlap
        self._changed, self._known = instant(cursor.get("changed")), cursor.get("recent", {})
        self.since = self._changed - overlap if self._changed else client.since
        self._found: dict[str, str | None] = {}  # of those known
        self._latest: dict[str, Seen] = {}

    def saw(self, items: Iterable[Json], *, changed: str, stamp: str, key: str = "id") -> None:
        """The items of a page. Their fields: when they changed, something that never changes, and their id."""
        for item in items:
            with suppress(*ODD):
                self._one(str(item[key]), instant(item[changed]), item[stamp])
        if len(self._latest) > 100 * WITNESSES:
            self._latest = self._newest()

    def _one(self, key: str, changed_at: datetime | None, stamp: str | None) -> None:
        if key in self._known:
            self._found[key] = stamp
        if changed_at is not None and changed_at <= self._at:
            self._latest[key] = changed_at, stamp

    def check(self, what: str) -> None:
        """Once all was seen: StartOver where it is no longer the list it was. `what`: the items, in words."""
        still_there(self._known, self._found, what, {})

    def to_cursor(self) -> dict[str, Json]:
        """What the cursor is to hold."""
        newest = self._newest()
        latest = max((at for at, _ in newest.values()), default=self._changed)
        if latest is None:
            return {}
        recent = {key: stamp for key, (at, stamp) in newest.items() if at >= latest - self._overlap}
        return {"changed": latest.isoformat(), "recent": recent}

    def _newest(self) -> dict[str, Seen]:
        return dict(sorted(self._latest.items(), key=lambda each: (each[1][0], each[0]))[-WITNESSES:])
