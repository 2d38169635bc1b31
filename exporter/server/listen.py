"""Sockets to listen on: TCP addresses as they are written on the command line, and the one beside the store."""

import errno
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

LONGEST_UNIX_PATH = 107  # bytes: sockaddr_un has room for 108, with a NUL
ADVICE = {
    errno.EADDRINUSE: "another program is listening there; stop it, or choose another --web.listen-address",
    errno.EACCES: "ports below 1024 are for root; choose a higher one in --web.listen-address",
    errno.EADDRNOTAVAIL: "this machine does not have that address; choose another --web.listen-address",
}


class ListenError(Exception):
    """An address that cannot be listened on; the text says which, why, and what to do."""


def address(text: str) -> tuple[str, int]:
    """`host:port`, `:port` (every interface) or `[::1]:port`."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ListenError(f"{text!r} is not an address: put [ ] around an IPv6 host, as in [::1]:{port}")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ListenError(f"{text!r} is not an address: write host:port or :port, with a port from 0 to 65535")
    return host, int(port)


def tcp(texts: list[str]) -> list[socket.socket]:
    """A listening socket or more for every address, or none at all and a ListenError."""
    sockets: list[socket.socket] = []
    try:
        for text in texts:
            sockets += _tcp(text)
    except BaseException:
        for each in sockets:
            each.close()
        raise
    return sockets


def _tcp(text: str) -> list[socket.socket]:
    host, port = address(text)
    try:
        if not host and socket.has_dualstack_ipv6():
            return [socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)]
        found = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)  # noqa: S104 - `:port` means every interface
    except OSError as error:
        raise ListenError(_refused(text, error)) from None
    return _bound(text, [(family, where) for family, _, _, _, where in found])


def _bound(text: str, places: list[tuple[int, Any]]) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    for family, where in places:
        try:
            sockets.append(socket.create_server(where, family=family))
        except OSError as error:
            # A name such as localhost may stand for an address family that this machine has switched off.
            if error.errno == errno.EADDRNOTAVAIL and len(places) > 1:
                continue
            for each in sockets:
                each.close()
            raise ListenError(_refused(text, error)) from None
    if not sockets:
        raise ListenError(_refused(text, OSError(errno.EADDRNOTAVAIL, "this machine has none of its addresses")))
    return sockets


def _refused(text: str, error: OSError) -> str:
    advice = ADVICE.get(error.errno or 0, "check --web.listen-address")
    reason = (
        os.strerror(error.errno) if error.errno in ADVICE else error.strerror or error
    )  # else it repeats the address
    return f"cannot listen on {text}: {reason}; {advice}"


@lru_cache(256)  # few ask, again and again
def is_loopback(host: str) -> bool:
    """Whether a host as in a URL, or an address, can only be this machine."""
    if host == "localhost":
        return True
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_loopback


def beside(store: Path) -> Path:
    """Where the running exporter that has this store open answers."""
    return store.with_name(store.name + ".sock")


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name for a socket's path that fits in the few bytes there are for it, however deep the folder is."""
    if sys.platform != "linux":
        name = str(path)
        _fits(name, path)
        yield name
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        name = f"/proc/self/fd/{folder}/{path.name}"
        _fits(name, path)
        yield name
    finally:
        os.close(folder)


def _fits(name: str, path: Path) -> None:
    if len(os.fsencode(name)) > LONGEST_UNIX_PATH:
        raise ListenError(f"cannot listen on {path}: the name is too long for a socket; give the store a shorter name")


def unix(path: Path) -> socket.socket:
    """A listening socket that only its owner can talk to. What a dead process left behind is removed."""
    try:
        with reachable(path) as name:
            _remove_dead(path, name)
            listening = socket.socket(socket.AF_UNIX)
            try:
                # Linux gives the new file the mode of the socket itself: there is no moment in which it is open to all.
                os.fchmod(listening.fileno(), 0o600)
                listening.bind(name)
                path.chmod(0o600)  # elsewhere the mode of the socket itself does nothing
                listening.listen(16)
            except BaseException:
                listening.close()
                raise
    except OSError as error:
        raise ListenError(f"cannot listen on {path}: {error.strerror or error}") from None
    return listening


def _remove_dead(path: Path, name: str) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ListenError(f"cannot listen on {path}: another file has that name; move it away")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(name)
            except ConnectionRefusedError:
                path.unlink()
                return
        raise ListenError(f"cannot listen on {path}: another exporter is running on this store; stop it first")
