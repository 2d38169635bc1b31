"""The one clock of the program, and the instants before and after all others."""

from datetime import UTC, datetime

BEGINNING = datetime.min.replace(tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)
DAY = 86400  # seconds


def now() -> datetime:
    """The present, in UTC. Nothing else reads the clock: whatever needs the time is given it."""
    return datetime.now(UTC)
