"""Where tokens are had, and an API behind them: as strict as the platforms that rotate tokens and let them run out."""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
AT = datetime(2026, 3, 31, tzinfo=UTC)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


@dataclass
class Identity:
    """One client, `exporter`, whose secret is `s3cret/+`; user `robot`, whose password is `pa55`."""

    life: float | None = 1800.0  # seconds that a token holds; None: it does not say
    at: datetime = AT  # its clock, moved by tests
    refresh: str = "first"  # the refresh token that is good
    rotates: bool = True
    forgiving: bool = False  # takes the refresh token before once more, where the newest was never used
    basic: bool = False  # wants the client in a header
    status: int = 200
    trouble: tuple[int, Any] | None = None  # what it answers instead
    meanwhile: Callable[[], None] = lambda: None  # happens when a token has been given, before it is said
    arrived: Callable[[], None] = lambda: None  # happens when a token is first shown to the API
    sees_nobody: bool = False  # the API refuses every token
    tokens: dict[str, datetime] = field(default_factory=dict)  # until when each holds
    before: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    refused: int = 0  # requests to the API with a token that does not hold

    def app(self) -> web.Application:
        """Its own server."""
        app = web.Application()
        app.router.add_post("/oauth/token", self._oauth)
        app.router.add_post("/login", self._login)
        app.router.add_post("/app/installations/{id}/access_tokens", self._app)
        return app

    @property
    def guard(self) -> Any:
        """What lets only holders of a token into an API."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if self.sees_nobody or self.tokens.get(token, datetime.min.replace(tzinfo=UTC)) <= self.at:
                self.refused += 1
                return web.json_response({"error": "invalid_token", "error_description": f"no {token}"}, status=401)
            self.arrived()
            return await handler(request)

        return guard

    def revoke(self) -> None:
        """No token that was given holds any longer."""
        self.tokens.clear()

    async def _oauth(self, request: web.Request) -> web.Response:
        if request.content_type != "application/x-www-form-urlencoded":
            return web.json_response({"error": "invalid_request"}, status=400)
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(form)
        if self.trouble:
            return web.json_response(self.trouble[1], status=self.trouble[0])
        if not self._known(request, form):
            return refusal("invalid_client", 401)
        match form["grant_type"]:
            case "client_credentials":
                return self._given({"scope": form.get("scope", "")})
            case "refresh_token":
                return self._refreshed(form["refresh_token"])
        return refusal("unsupported_grant_type", 400)

    def _refreshed(self, used: str) -> web.Response:
        if used != self.refresh and not (self.forgiving and used == self.before):
            return refusal("invalid_grant", 400)
        if not self.rotates:
            return self._given({})
        self.before, self.refresh = used, f"refresh-{len(self.asked)}"
        return self._given({"refresh_token": self.refresh})

    def _known(self, request: web.Request, form: dict[str, str]) -> bool:
        if "client_assertion" in form:
            claims = jwt.decode(
                form["client_assertion"], KEY.public_key(), ["RS256"], audience=str(request.url),
                options={"verify_exp": False, "verify_iat": False, "require": ["exp", "iat", "jti"]},
            )  # fmt: skip
            return claims["iss"] == claims["sub"] == form["client_id"] == "exporter" and self._timely(claims)
        if self.basic:
            text = "Basic " + base64.b64encode(b"exporter:s3cret%2F%2B").decode()
            return request.headers.get("Authorization") == text and "client_id" not in form
        return (form.get("client_id"), form.get("client_secret")) == ("exporter", "s3cret/+")

    async def _login(self, request: web.Request) -> web.Response:
        said = await request.json()
        self.asked.append(said)
        if (said.get("username"), said.get("password")) != ("robot", "pa55"):
            return web.json_response({"detail": "Invalid credentials"}, status=401)
        # As long as it holds stands in the token, and nowhere else.
        life = {"iat": self.at, "exp": self.at + timedelta(seconds=self.life or 0)}
        token = jwt.encode({"sub": "robot", "n": len(self.asked), **life}, "a secret of the platform's, long enough")
        self.tokens[token] = life["exp"]
        return web.json_response({"access_token": token}, status=201)

    async def _app(self, request: web.Request) -> web.Response:
        proof = request.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(proof, KEY.public_key(), ["RS256"], options={"verify_exp": False, "verify_iat": False})
        self.asked.append({name: str(value) for name, value in claims.items()})
        if claims["iss"] != "4711" or request.match_info["id"] != "99" or not self._timely(claims):
            return web.json_response({"message": "A JSON web token could not be decoded"}, status=401)
        token = self._token()
        until = self.tokens[token].isoformat().replace("+00:00", "Z")
        return web.json_response({"token": token, "expires_at": until, "permissions": {}}, status=201)

    def _timely(self, claims: dict[str, Any]) -> bool:
        """As GitHub has it: made before now, over within ten minutes."""
        now = self.at.timestamp()
        return bool(claims["iat"] <= now < claims["exp"] <= now + 600)

    def _token(self) -> str:
        token = f"token-{len(self.tokens) + len(self.asked)}"
        self.tokens[token] = self.at + timedelta(seconds=86400 if self.life is None else self.life)
        return token

    def _given(self, more: dict[str, str]) -> web.Response:
        said: dict[str, Any] = {"access_token": self._token(), "token_type": "bearer", **more}
        self.meanwhile()
        return web.json_response(said if self.life is None else {**said, "expires_in": self.life}, status=self.status)


def refusal(word: str, status: int) -> web.Response:
    """With a description that quotes what it should not."""
    return web.json_response({"error": word, "error_description": "s3cret/+ first"}, status=status)


def items(identity: Identity, pages: int, before: Callable[[int], None] = lambda _: None) -> web.Application:
    """An API that lists numbers, page by page. `before`: happens before a page is asked for."""
    served: list[int] = []

    async def listed(request: web.Request) -> web.Response:
        page = int(request.query.get("page", 0))
        served.append(page)
        return web.json_response({"items": [page], "next": page + 1 if page + 1 < pages else None})

    @web.middleware
    async def first(request: web.Request, handler: Handler) -> web.StreamResponse:
        before(int(request.query.get("page", 0)))
        return await handler(request)

    app = web.Application(middlewares=[first, identity.guard])
    app.router.add_get("/items", listed)
    return app
