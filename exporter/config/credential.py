"""How a source is reached, from its entry in the config: address, credentials, certificates. Secrets stay unprinted."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from exporter.base.strict_yaml import At
from exporter.collect.http import Auth, HttpSettings
from exporter.config import secret
from exporter.config.secret import Secret, SecretError
from exporter.config.section import SourceSection
from exporter.config.shape import Checker

API_KEY_HEADERS = {"n8n": "X-N8N-API-KEY"}  # where an API key does not go into Authorization: Bearer
TOKEN_SCHEMES: Mapping[str, Callable[[str], Auth]] = {"request-tracker": Auth.token}  # where a token is no bearer token
ADDRESS = re.compile(r"https?://([^\s/@?#]*@)?[^\s/@?#]+(/[^\s?#]*)?")
PROTECTED = re.compile(r"https://|http://(localhost|127\.[0-9.]+|\[::1\])([:/]|$)")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Finds what the entries of one config name; notes what is missing."""

    checker: Checker
    folder: Path  # of the config: what relative paths are relative to
    environ: Mapping[str, str]
    warn: Callable[[At, str], None]

    def http(self, section: SourceSection, data: Mapping[str, Any], at: At) -> HttpSettings:
        """How to reach the source of one entry."""
        auth, url = self._auth(data, at), self._address(data, "url", at)
        if auth.header and not PROTECTED.match(url):
            self.warn((*at, "url"), "the credentials go over the network unencrypted; use https")
        if auth.header and "@" in url.partition("://")[2].partition("/")[0]:
            self.checker.wrong(
                (*at, "url"), "the address holds a user already, and credentials are given too; keep one"
            )
        return HttpSettings(
            url=url,
            auth=auth,
            timeout_seconds=section.timeout,
            rate=section.rate,
            concurrency=section.concurrency,
            proxy=self._address(data, "proxy", at) or None,
            ca_file=self._file(data, "ca_file", at),
            max_response_bytes=section.max_response_bytes,
        )

    def _address(self, data: Mapping[str, Any], key: str, at: At) -> str:
        """A URL, written or as ${NAME}; "" where there is none."""
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
            self.checker.wrong(
                (*at, key), "a password does not stand in the config; write the whole address as ${NAME}"
            )
        return text

    def _file(self, data: Mapping[str, Any], key: str, at: At) -> str | None:
        if not isinstance(data.get(key), str):
            return None
        path = self.folder / data[key]
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file() raises for a name that is too long
            self.checker.wrong((*at, key), f"there is no file {path}")
        return str(path)

    def _auth(self, data: Mapping[str, Any], at: At) -> Auth:
        """The credentials of a source; at most one kind."""
        api_key, token, password = (self.secret(data, key, at) for key in ("api_key", "token", "password"))
        kinds = [each for each in ("api_key", "token", "password") if each in data or f"{each}_file" in data]
        if len(kinds) > 1:
            self.checker.wrong(at, f"{' and '.join(kinds)} are both given; keep one kind of credentials")
        if "header" in data and "api_key" not in kinds:
            self.checker.wrong((*at, "header"), "a header without api_key_file; it names the header the key goes into")
        if ("username" in data) != ("password" in kinds):
            self.checker.wrong(at, "username and password_file belong together; give both")
        if api_key:
            header = data.get("header") or API_KEY_HEADERS.get(str(data.get("type")))
            return Auth(str(header), api_key.reveal()) if header else Auth.bearer(api_key.reveal())
        if token:
            return TOKEN_SCHEMES.get(str(data.get("type")), Auth.bearer)(token.reveal())
        return Auth.basic(str(data.get("username")), password.reveal()) if password else Auth()

    def secret(self, data: Mapping[str, Any], key: str, at: At) -> Secret | None:
        """The secret under `key` (as ${NAME}) or named by `key`_file."""
        written, named = data.get(key), data.get(f"{key}_file")
        if written is not None and named is not None:
            self.checker.wrong((*at, key), f"{key} and {key}_file are both given; keep one")
            return None
        try:
            if written is not None:
                return secret.from_environment(str(written), self.environ)
            if isinstance(named, str):
                return self.secret_file(named, (*at, f"{key}_file"))
        except SecretError as error:
            self.checker.wrong((*at, key if named is None else f"{key}_file"), str(error))
        return None

    def secret_file(self, name: str, at: At) -> Secret:
        """The secret in a file; SecretError where there is none."""
        path = self.folder / name
        found = secret.from_file(path)
        if secret.loose(path):
            self.warn(at, f"everybody on this machine may read {path}; chmod 600 it")
        return found


def possible(url: str) -> bool:
    """Whether there can be such a host and port at all."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return (parts.port is None or parts.port > 0) and 0 < len(host if ":" in host else host.encode("idna")) <= 253
    except ValueError:
        return False
