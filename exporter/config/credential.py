"""Reads how to reach a source from its config entry: address, credentials, certificates. Secrets are never printed."""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from exporter.base.errors import AuthFailed
from exporter.base.strict_yaml import At
from exporter.collect.auth import NOBODY, App, Auth, ClientCredentials, Grant, Login, RefreshToken, Scheme, signed
from exporter.collect.http import HttpSettings
from exporter.collect.signature import Door, key_of
from exporter.config import secret
from exporter.config.secret import Secret, SecretError
from exporter.config.section import AuthSection, SourceSection
from exporter.config.shape import Checker

ADDRESS = re.compile(r"https?://([^\s/@?#]*@)?[^\s/@?#]+(/[^\s?#]*)?")
UNENCRYPTED = "the credentials would go over the network unencrypted; use https"
PROTECTED = re.compile(r"https://|http://(localhost|127\.[0-9.]+|\[::1\])([:/]|$)")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Reads the secrets that entries of the config name, and notes what is missing."""

    checker: Checker
    folder: Path  # of the config: what relative paths are relative to
    environ: Mapping[str, str]
    warn: Callable[[At, str], None]
    store: Path = Path("outcome.duckdb")  # what is kept for a source lies beside it

    def http(self, section: SourceSection, data: Mapping[str, Any], at: At, scheme: Scheme) -> HttpSettings:
        """The HTTP settings of one entry, for a platform that wants credentials in this form."""
        url = self.address(data, "url", at)
        auth = self._auth(data, at, scheme, section, url)
        if auth != NOBODY and not PROTECTED.match(url):
            self.warn((*at, "url"), UNENCRYPTED)
        if auth != NOBODY and "@" in url.partition("://")[2].partition("/")[0]:
            self.checker.wrong(
                (*at, "url"), "the address contains a user and credentials are given too; keep one of the two"
            )
        return HttpSettings(
            url=url,
            auth=auth,
            timeout_seconds=section.timeout,
            rate=section.rate,
            concurrency=section.concurrency,
            proxy=self.address(data, "proxy", at) or None,
            ca_file=self._file(data, "ca_file", at),
            max_response_bytes=section.max_response_bytes,
        )

    def door(self, section: SourceSection, at: At, most_bytes: int) -> Door:
        """What a source that is pushed demands of its senders: a secret, or several while one replaces another.

        `most_bytes`: of a delivery, where the section does not say.
        """
        found: list[str] = []
        read = {"secret": lambda text, _: secret.from_environment(text, self.environ), "secret_file": self.secret_file}
        for key, texts in (("secret", section.secret), ("secret_file", section.secret_file)):
            for i, text in enumerate(texts or ()):
                place = (*at, key, i) if (*at, key, i) in self.checker.document.lines else (*at, key)
                try:
                    found.append(read[key](text, place).reveal())
                    key_of(section.scheme, found[-1])
                except ValueError as error:  # a SecretError is one
                    self.checker.wrong(place, str(error))
        if not section.secret and not section.secret_file:
            self.checker.wrong(
                (*at, "secret_file"), "this key is missing; name the file with the secret that its senders have"
            )
        return Door(section.scheme, tuple(found), section.max_request_bytes or most_bytes)

    def address(self, data: Mapping[str, Any], key: str, at: At) -> str:
        """A URL, as written or from ${NAME}; "" if there is none."""
        text = data.get(key)
        if not isinstance(text, str):
            return ""
        try:
            text = secret.from_environment(text, self.environ).reveal() if text.startswith("$") else text
        except SecretError as error:
            self.checker.wrong((*at, key), str(error))
            return ""
        if not ADDRESS.fullmatch(text) or not possible(text):
            self.checker.wrong(
                (*at, key), "this is not an address; write it like https://host or https://host:8443/path"
            )
        elif "@" in text.partition("://")[2].partition("/")[0] and text == data[key]:
            self.checker.wrong((*at, key), "do not write a password in the config; write the whole address as ${NAME}")
        return text

    def _file(self, data: Mapping[str, Any], key: str, at: At) -> str | None:
        if not isinstance(data.get(key), str):
            return None
        path = self.folder / data[key]
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file() raises for a name that is too long
            self.checker.wrong((*at, key), f"there is no file {path}")
        return str(path)

    def _auth(self, data: Mapping[str, Any], at: At, scheme: Scheme, section: SourceSection, url: str) -> Auth | Grant:
        """The credentials of a source; at most one kind."""
        api_key, token, password = (self.secret(data, key, at) for key in ("api_key", "token", "password"))
        kinds = [each for each in ("api_key", "token", "password") if each in data or f"{each}_file" in data]
        kinds += ["auth"] if "auth" in data else []
        if len(kinds) > 1:
            self.checker.wrong(at, f"{' and '.join(kinds)} are both given; keep one kind of credential")
        if "header" in data and "api_key" not in kinds:
            self.checker.wrong(
                (*at, "header"), "header is given without api_key_file; it names the header in which the key is sent"
            )
        if ("username" in data) != ("password" in kinds):
            self.checker.wrong(at, "username and password_file belong together; give both")
        if section.auth:
            return GrantReader(self, scheme, url).grant(section.auth, data["auth"], (*at, "auth")) or NOBODY
        if api_key:
            return scheme.fixed("api_key", api_key.reveal(), data.get("header"))
        if token:
            return scheme.fixed("token", token.reveal())
        return Auth.basic(str(data.get("username")), password.reveal()) if password else NOBODY

    def secret(self, data: Mapping[str, Any], key: str, at: At, *, lines: bool = False) -> Secret | None:
        """The secret under `key` (as ${NAME}) or named by `key`_file; of several lines only where such are meant."""
        written, named = data.get(key), data.get(f"{key}_file")
        if written is not None and named is not None:
            self.checker.wrong((*at, key), f"{key} and {key}_file are both given; keep one")
            return None
        try:
            if written is not None:
                return secret.from_environment(str(written), self.environ, lines=lines)
            if isinstance(named, str):
                return self.secret_file(named, (*at, f"{key}_file"), lines=lines)
        except SecretError as error:
            self.checker.wrong((*at, key if named is None else f"{key}_file"), str(error))
        return None

    def secret_file(self, name: str, at: At, *, lines: bool = False) -> Secret:
        """The secret in a file; SecretError where there is none."""
        path = self.folder / name
        found = secret.from_file(path, lines=lines)
        if secret.loose(path):
            self.warn(at, f"every user of this machine may read {path}; run chmod 600 on it")
        return found


class Common(NamedTuple):
    """What every grant has."""

    url: str
    scheme: Scheme
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class _Need:
    """What a method needs: keys that must be there, secrets among them by name; what may be there beside them."""

    needs: tuple[str, ...]
    may: tuple[str, ...] = ()


CLIENT = ("client_secret", "private_key", "client_in", "scope")
NEEDS = {
    "client_credentials": _Need(needs=("client_id",), may=CLIENT),
    "refresh_token": _Need(needs=("client_id", "refresh_token"), may=CLIENT),
    "login": _Need(needs=("username", "password")),
    "app": _Need(needs=("app_id", "private_key"), may=("installation_id",)),
}
EVERY = ("method", "token_url", "parameters")
SECRETS = ("client_secret", "private_key", "refresh_token", "password")


@dataclass(frozen=True)
class GrantReader:
    """Reads the section `auth` of a source."""

    of: Credentials
    scheme: Scheme
    url: str  # of the source

    def grant(self, section: AuthSection, data: Mapping[str, Any], at: At) -> Grant | None:
        """The grant that gets tokens; None after noting mistakes."""
        before = len(self.of.checker.mistakes)
        method = section.method
        self._fits(method, data, at)
        found = {key: self._secret(data, key, at) for key in SECRETS}
        url = self._url(section, at)
        if len(self.of.checker.mistakes) > before:
            return None
        common = Common(url, self._scheme(section), tuple(sorted(self._parameters(section).items())))
        if method == "app":
            return App(**common._asdict(), app_id=str(section.app_id), key=found["private_key"])
        if method == "login":
            return Login(**common._asdict(), username=str(section.username), password=found["password"])
        client = ClientCredentials(
            **common._asdict(),
            client_id=str(section.client_id),
            secret=found["client_secret"],
            key=found["private_key"],
        )
        return self._refreshing(client, found["refresh_token"], data) if method == "refresh_token" else client

    def _fits(self, method: str, data: Mapping[str, Any], at: At) -> None:
        """Notes the keys that a method needs but lacks, and those that it does not use."""
        need = NEEDS[method]
        for key in need.needs:
            names = (key, f"{key}_file") if key in SECRETS else (key,)
            if not any(name in data for name in names):
                self.of.checker.wrong(at, f"{names[-1]} is missing; method {method} needs it")
        used = {name for key in (*EVERY, *need.needs, *need.may) for name in (key, f"{key}_file")}
        for key in data:
            if key not in used and key in AuthSection.model_fields:
                others = [name for name, each in NEEDS.items() if key.removesuffix("_file") in (*each.needs, *each.may)]
                message = f"method {method} does not use this; it belongs to {' and '.join(others)}"
                self.of.checker.wrong((*at, key), message)
        if method == "client_credentials":
            ways = [key for key in ("client_secret", "private_key") if key in data or f"{key}_file" in data]
            if len(ways) != 1:
                none = "client_secret_file is missing, and private_key_file too; name one of them"
                both = "client_secret and private_key are both given; keep one"
                self.of.checker.wrong(at, both if ways else none)

    def _secret(self, data: Mapping[str, Any], key: str, at: At) -> str:
        """A secret of the section; "" where it has none."""
        found = self.of.secret(data, key, at, lines=key == "private_key")
        if found and key == "private_key":
            try:
                signed({}, found.reveal(), datetime.fromtimestamp(0, UTC))
            except AuthFailed as error:
                self.of.checker.wrong((*at, key if key in data else f"{key}_file"), str(error))
        return found.reveal() if found else ""

    def _url(self, section: AuthSection, at: At) -> str:
        """Where tokens are had."""
        text = section.token_url or self.scheme.token_url
        place = (*at, "token_url")
        if not text:
            self.of.checker.wrong(
                place, "this key is missing; write the address where tokens are had, or its path below url"
            )
        if "{installation_id}" in text:
            if section.installation_id is None:
                self.of.checker.wrong(at, "installation_id is missing; it is the number in the address of its settings")
            text = text.replace("{installation_id}", str(section.installation_id))
        if text.startswith("/"):
            return self.url.rstrip("/") + text
        url = self.of.address({"token_url": text}, "token_url", at) if text else ""
        if url and not PROTECTED.match(url):
            self.of.warn(place if section.token_url else at, UNENCRYPTED)
        return url

    def _scheme(self, section: AuthSection) -> Scheme:
        return replace(self.scheme, client_in=section.client_in) if section.client_in else self.scheme

    def _parameters(self, section: AuthSection) -> Mapping[str, str]:
        return {**section.parameters, **({"scope": " ".join(section.scope)} if section.scope else {})}

    def _refreshing(self, client: ClientCredentials, first: str, data: Mapping[str, Any]) -> RefreshToken:
        """With the file that its refresh tokens are kept in: another first one, by a new authorization, has another."""
        told = hashlib.sha256("\n".join((client.url, client.client_id, first)).encode()).hexdigest()[:12]
        file = data.get("refresh_token_file")
        named = str((self.of.folder / file).absolute()) if file else "what auth.refresh_token names"
        return RefreshToken(
            **{each.name: getattr(client, each.name) for each in fields(client)},
            first=first,
            named=named,
            file=self.of.store.with_name(f"{self.of.store.name}.token-{told}"),
        )


def possible(url: str) -> bool:
    """Whether host and port are possible at all."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return (parts.port is None or parts.port > 0) and 0 < len(host if ":" in host else host.encode("idna")) <= 253
    except ValueError:
        return False
