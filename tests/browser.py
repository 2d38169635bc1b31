"""A real Chromium, driven over its DevTools protocol: one process and one tab for all pages that a file looks at."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests import deadline

AXE = Path(__file__).parents[1] / "var/axe/node_modules/axe-core/axe.min.js"
LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--remote-debugging-port=0", "about:blank",
)  # fmt: skip
Said = dict[str, Any]


class Tab:
    """A tab. `complaints`: what the browser has said against pages, such as what their policy forbids."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._session: str | None = None
        self._asked = 0
        self._answers: dict[int, asyncio.Future[Said]] = {}
        self._loaded = asyncio.Event()
        self.complaints: list[str] = []

    async def open(self) -> None:
        """Opens the tab."""
        target = await self.ask("Target.createTarget", url="about:blank")
        attached = await self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.ask(f"{domain}.enable")

    async def read(self) -> None:
        """Takes what the browser says, until it is closed."""
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said and not (answer := self._answers.pop(said["id"])).done():
                answer.set_result(said)
            elif said.get("method") == "Page.loadEventFired":
                self._loaded.set()
            elif said.get("method") == "Log.entryAdded" and said["params"]["entry"]["source"] != "network":
                self.complaints.append(said["params"]["entry"]["text"])
            elif said.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(str(said["params"]["exceptionDetails"]))

    async def ask(self, method: str, **params: Any) -> Said:
        """The result of a command."""
        self._asked += 1
        answer = self._answers[self._asked] = asyncio.get_running_loop().create_future()
        session = {"sessionId": self._session} if self._session else {}
        await self._socket.send_json({"id": self._asked, "method": method, "params": params, **session})
        said = await asyncio.wait_for(answer, deadline.seconds(20))
        assert "error" not in said, said
        result: Said = said["result"]
        return result

    async def go(self, url: str, *, width: int = 1366, height: int = 768, dark: bool = False) -> None:
        """Opens a page, in a window of a size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.ask("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self._loaded.clear()
        await self.ask("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), deadline.seconds(20))

    async def scripts(self, *, on: bool) -> None:
        """Whether pages run their scripts."""
        await self.ask("Emulation.setScriptExecutionDisabled", value=not on)

    async def value(self, expression: str) -> Any:
        """The value of an expression of JavaScript, once it is there."""
        result = await self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def press(self, key: str) -> None:
        """Presses a key."""
        text = {"text": key} if len(key) == 1 else {}
        code = {"Tab": 9, "Enter": 13}.get(key, ord(key[0]))
        await self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    async def type(self, text: str) -> None:
        """Types a text where the focus is."""
        await self.ask("Input.insertText", text=text)


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Tab]:
    """A tab of a browser of our own; its profile is in a folder."""
    if (program := shutil.which("chromium")) is None:
        pytest.skip("chromium is not installed")
    process = await asyncio.create_subprocess_exec(
        program, *OPTIONS, f"--user-data-dir={folder}",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        url = await asyncio.wait_for(_listening(process), deadline.seconds(30))
        async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as socket:
            tab = Tab(socket)
            reading = asyncio.create_task(tab.read())
            await tab.open()
            yield tab
            reading.cancel()
    finally:
        process.kill()
        await process.wait()


async def _listening(process: asyncio.subprocess.Process) -> str:
    assert process.stderr
    async for line in process.stderr:
        if found := LISTENING.search(line):
            return found[1].decode()
    raise RuntimeError("Chromium ended before it listened")
