"""Recorded answers of a real server, served again: each question gets what was answered to it then."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

ROOT = Path(os.environ.get("OUTCOME_RECORDINGS") or Path(__file__).parents[3] / "shared" / "recordings")
"""Recordings lie beside the repository, or where OUTCOME_RECORDINGS says; they are large and not part of it."""

Answer = Callable[[web.Request, Any], Any]


@dataclass
class Recording:
    """The files of one folder. `answers` are for questions that the recording has answers to, but put otherwise."""

    folder: str
    prefix: str = ""  # of the paths asked for, missing in the recorded ones
    answers: dict[str, Answer] = field(default_factory=dict)  # by "METHOD /path"; None as answer: 404
    unknown: list[str] = field(default_factory=list)  # questions without an answer

    def __post_init__(self) -> None:
        if not (ROOT / self.folder).is_dir():
            pytest.skip(f"the recordings of {self.folder} are not beside the repository")
        self.files = [json.loads(path.read_text()) for path in sorted((ROOT / self.folder).glob("*.json"))]

    def bodies(self, *numbers: int) -> list[Any]:
        """The answers in the files of these numbers."""
        return [self.files[number - 1]["body"] for number in numbers]

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._replayed)
        return app

    async def _replayed(self, request: web.Request) -> web.Response:
        path = request.path.removeprefix(self.prefix)
        body = json.loads(await request.read() or b"null")
        if answer := self.answers.get(f"{request.method} {path}"):
            found = answer(request, body)
            return web.json_response(found, status=404 if found is None else 200)
        for file in self.files:
            asked = file["request"]
            query = {name: str(value) for name, value in asked["query"].items()}
            if (request.method, path, dict(request.query), body) == (
                asked["method"],
                asked["path"],
                query,
                asked.get("body"),
            ):
                return web.Response(
                    body=json.dumps(file["body"]).encode(), status=file["status"], content_type="application/json"
                )
        self.unknown.append(f"{request.method} {request.path_qs}")
        return web.json_response({"message": "not recorded"}, status=404)
