"""What a connector remembers beside its cursor: what is large, or slow to read. It is stored only when it changes.

It lives as long as the cursor: where that is forgotten, so is the memory.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from exporter.records import Json, instant


class Memory:
    """JSON values by name. `at` is when the poll began."""

    def __init__(self, at: datetime, remembered: Mapping[str, Json]) -> None:
        self._at, self._kept, self._changed = at, dict(remembered), False

    def __getitem__(self, name: str) -> Json:
        """What is remembered under a name; None where nothing is."""
        return self._kept.get(name)

    def __setitem__(self, name: str, value: Json) -> None:
        """Remembers a value, which is not changed afterwards; it is stored with the next page."""
        if name not in self._kept or self._kept[name] != value:
            self._kept[name], self._changed = value, True

    async def remembered(self, name: str, every: timedelta, ask: Callable[[], Awaitable[Json]]) -> Json:
        """What `ask` brings, asked again only where what is remembered is older than `every`."""
        remembered = self[name]
        read_at = instant(remembered["read_at"]) if isinstance(remembered, dict) else None
        if read_at is None or not read_at <= self._at < read_at + every:
            remembered = {"read_at": self._at.isoformat(), "value": await ask()}
            self[name] = remembered
        return remembered["value"]

    def changes(self) -> Mapping[str, Json] | None:
        """All of it, where it has changed since this was last asked."""
        changed, self._changed = self._changed, False
        return dict(self._kept) if changed else None
