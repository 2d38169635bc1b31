"""Where refresh tokens are kept that change with each use: a file beside the store, for its owner only.

It is written to the disk before a new token is used, and locked while one is exchanged: `check --live` may run beside
the exporter, and each would leave the other with a token that was used.
"""

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from exporter.base.deferred import asyncio
from exporter.base.errors import AuthFailed, Unavailable


@dataclass(frozen=True, slots=True)
class Kept:
    """What the file holds. `asking`: the refresh token was about to be exchanged, and no answer was stored."""

    refresh: str = field(default="", repr=False)
    access: str = field(default="", repr=False)
    begins_at: datetime | None = None
    expires_at: datetime | None = None
    asking: bool = False


@dataclass(frozen=True, slots=True)
class TokenFile:
    """The file of one grant."""

    path: Path

    def read(self) -> Kept | None:
        """The stored tokens; None if there are none yet. Raises AuthFailed."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AuthFailed(
                f"{self.path} cannot be read: {error.strerror}; it holds the newest refresh token"
            ) from None
        except ValueError:
            raise AuthFailed(
                f"{self.path} is not as it was written; delete it and authorize the client again"
            ) from None

    def write(self, content: Kept) -> None:
        """Replaces the file in one step, written through to the disk. Raises Unavailable."""
        draft = self.path.with_name(f"{self.path.name}.new")
        try:
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
                opened.write(msgspec.json.encode(content))
                opened.flush()
                os.fsync(opened.fileno())
            draft.rename(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise Unavailable(
                f"{self.path} cannot be written: {error.strerror}; the refresh token is to be kept there"
            ) from None

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Locks the file, so that no other process exchanges the token meanwhile."""
        try:
            descriptor = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as error:
            raise Unavailable(f"{self.path}.lock cannot be written: {error.strerror}") from None
        try:
            await asyncio.to_thread(fcntl.flock, descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
