"""Asks the running exporter that has a store open, on the socket beside the store."""

from contextlib import suppress
from pathlib import Path

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, UnixConnector

from exporter.records import Json
from exporter.server import listen
from exporter.server.surface import PLAIN, Refusal

ASK_SECONDS = 30.0


async def ask(store: Path, path: str, *, seconds: float | None = ASK_SECONDS) -> Json | None:
    """What the exporter that has this store open answers at `path`; None where none is running. May raise Refusal.

    `seconds`: how long it is waited for; None: as long as it takes.
    """
    body = await ask_bytes(store, path, seconds=seconds)
    return None if body is None else msgspec.json.decode(body)


async def ask_bytes(store: Path, path: str, *, seconds: float | None = ASK_SECONDS) -> bytes | None:
    """The same before it is decoded."""
    with suppress(OSError, ClientError), listen.reachable(listen.beside(store)) as name:
        try:
            async with (
                ClientSession(connector=UnixConnector(name), timeout=ClientTimeout(total=seconds)) as session,
                session.get(f"http://localhost{path}", headers={"Accept": PLAIN}) as response,
            ):
                if response.status != 200:
                    raise Refusal(response.status, _reason(await response.read()))
                return await response.read()
        except TimeoutError:
            # It is there, and has the store open: there is nobody else to ask.
            raise Refusal(504, f"the running exporter did not answer within {seconds:.0f} s; try again") from None
    return None


def _reason(body: bytes) -> str:
    """What an answer says that is not 200: JSON with `error`."""
    with suppress(msgspec.DecodeError, KeyError, TypeError):
        return str(msgspec.json.decode(body)["error"])
    return body.decode(errors="replace").strip()
