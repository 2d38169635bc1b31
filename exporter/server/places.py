"""Limits the number of simultaneous connections, and decides which one makes room for a new one.

They are counted where they are accepted: a client that never ends its TLS handshake, or its first line, has a place
too. When all are taken, a newcomer gets the place of a connection that waits for nothing of ours, of the address that
holds most of them; so neither idle nor slow clients keep anybody out, and one address does not push out another.
"""

import asyncio
import errno
import logging
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

log = logging.getLogger(__name__)

FEWEST = 8
FIRST_SECONDS = 30.0  # for the first request to arrive, the TLS handshake included
SWEEP_SECONDS = 5.0
TOLD_SECONDS = 600.0
BACKLOG = 512  # connections that the kernel keeps until they are accepted
AT_ONCE = 16  # accepted in one round of the event loop: those who make room leave in the next
NO_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
OUT_OF_FILES = "socket.accept() out of system resource"  # how asyncio says what is said here in words


def origin(address: Any) -> str:
    """Whom an address of a peer stands for: an IPv4 address, or the network of 2^64 that an IPv6 one is one of."""
    return _origin(str(address[0] if isinstance(address, tuple) else ""))


@lru_cache(256)  # few ask, again and again
def _origin(host: str) -> str:
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if found.version == 6:
        return str(found.ipv4_mapped or ip_network((found, 64), strict=False))
    return str(found)


def possible(most: int) -> int:
    """As many of `most` connections as half of the files that this process may open, once it may open all it can."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most_files = 2 * most if hard == resource.RLIM_INFINITY else min(2 * most, hard)
    if soft != resource.RLIM_INFINITY and soft < most_files:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, hard))
            soft = most_files
    if soft == resource.RLIM_INFINITY or soft // 2 >= most:
        return most
    fewer = max(soft // 2, FEWEST)
    log.warning(
        "at most %d connections at once instead of %d: this process may open only %d files; raise ulimit -n, or "
        "LimitNOFILE of the service",
        *(fewer, most, soft),
    )
    return fewer


class Connection(socket.socket):
    """An accepted connection; it gives its place back when it is closed."""

    places: "Places"
    origin = ""
    busy = False  # a request of it is being answered: it may, and waits no more for its password to be checked
    asked = False  # it has brought a whole request
    since = 0.0  # when that last changed

    def close(self) -> None:
        self.places.left(self)
        super().close()


class Listening(socket.socket):
    """A listening socket whose connections take places."""

    places: "Places"
    _exhausted = False

    @classmethod
    def on(cls, listening: socket.socket, places: "Places") -> "Listening":
        """What `listening` was; that is closed."""
        made = cls(listening.family, listening.type, listening.proto, fileno=listening.detach())
        made.places = places
        return made

    def listen(self, backlog: int = BACKLOG, /) -> None:
        super().listen(max(backlog, BACKLOG))

    def accept(self) -> tuple[socket.socket, Any]:
        if self._exhausted:  # asyncio would ask, and complain, once more for each that it accepts in a round
            self._exhausted = False
            raise BlockingIOError
        try:
            accepted, address = super().accept()
        except OSError as error:
            if error.errno in NO_FILES:
                self._exhausted = True
                self.places.no_files(error)
            raise
        connection = Connection(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        connection.places, connection.origin = self.places, origin(address)
        if not self.places.take(connection):
            connection.close()
            raise ConnectionAbortedError
        return connection, address


class Places:
    """The places of every listening socket together. `idle_seconds`: how long one is kept between two requests."""

    def __init__(self, most: int, idle_seconds: float, first_seconds: float = FIRST_SECONDS) -> None:
        self.most = most
        self._idle_seconds, self._first_seconds = idle_seconds, first_seconds
        self._taken: dict[int, Connection] = {}
        self._told = dict[str, float]()

    @property
    def taken(self) -> int:
        """How many places are taken now."""
        return len(self._taken)

    def take(self, new: Connection) -> bool:
        """A place for a new connection; False where nobody makes room."""
        if self.taken >= self.most and not self._made_room(new.origin):
            return False
        new.since = _now()
        self._taken[new.fileno()] = new
        return True

    def left(self, connection: Connection) -> None:
        """A connection is about to be closed."""
        if self._taken.get(connection.fileno()) is connection:
            del self._taken[connection.fileno()]

    def request_came(self, number: int) -> None:
        """A whole request has come on the connection of this file number."""
        if connection := self._taken.get(number):
            connection.asked, connection.since = True, _now()

    @contextmanager
    def answering(self, number: int) -> Iterator[None]:
        """While a request that may be answered is, on the connection of this file number."""
        connection = self._taken.get(number)
        if connection is None:
            yield
            return
        connection.busy = True
        try:
            yield
        finally:
            connection.busy, connection.since = False, _now()

    def no_files(self, error: OSError) -> None:
        """The process, or the machine, can open nothing more."""
        if idle := self._idle():
            self._evict(self._greediest(idle))
        self._tell(
            "files", "connections are waiting because no more files can be opened (%s); raise ulimit -n", error.strerror
        )

    def sweep(self) -> None:
        """Ends connections that have waited too long: for a first request, for a next one, or to be read from."""
        now = _now()
        for each in self._idle():
            if now - each.since > (self._idle_seconds if each.asked else self._first_seconds):
                self._evict(each)

    def _made_room(self, origin: str) -> bool:
        self._tell("places", "all %d connections are in use; idle ones are closed to make room", self.most)
        held = Counter(each.origin for each in self._taken.values())
        idle = self._idle()
        victim = self._greediest(idle or list(self._taken.values()))
        # What is being answered is given up only by one who holds clearly more than the newcomer.
        if held[victim.origin] < held[origin] + (0 if idle else 2):
            return False
        self._evict(victim)
        return True

    def _idle(self) -> list[Connection]:
        return [each for each in self._taken.values() if not each.busy]

    def _greediest(self, among: list[Connection]) -> Connection:
        """The one that has stood longest, of the address that holds most."""
        held = Counter(each.origin for each in self._taken.values())
        return max(among, key=lambda each: (held[each.origin], -each.since))

    def _evict(self, connection: Connection) -> None:
        """Its transport reads an end, or cannot write, and closes it."""
        del self._taken[connection.fileno()]
        with suppress(OSError):  # the other side was faster
            connection.shutdown(socket.SHUT_RDWR)

    def _tell(self, what: str, text: str, *values: object) -> None:
        """A line in the log, once in a while."""
        if what not in self._told or _now() - self._told[what] > TOLD_SECONDS:
            self._told[what] = _now()
            log.warning(text, *values)


async def swept(places: Places) -> None:
    """Sweeps until it is cancelled."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        places.sweep()


def quiet(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio does with a fault that nobody takes, but for what was told already."""
    if context.get("message") != OUT_OF_FILES:
        loop.default_exception_handler(context)


def _now() -> float:
    return asyncio.get_running_loop().time()
