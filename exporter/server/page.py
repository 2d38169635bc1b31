"""Pages for people: rendered here, whole without the script, readable on a phone."""

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape


class Pages:
    """The templates, and the headers that hold a browser to what is in them."""

    def __init__(self, base: str = ".") -> None:
        """`base` stands before every path of ours in a page."""
        self._environment = Environment(
            loader=PackageLoader("exporter.server", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {each.__name__: each for each in (instant, ago, clock, capital, prose)}
        self._environment.globals |= {"base": base, "here": ""}
        # Both are the same in every page: a browser applies what has the digest that the header names, and no more.
        self._environment.globals["style"] = style = Markup(self._text("style.css"))  # noqa: S704 - our own file
        self._environment.globals["script"] = script = Markup(self._text("script.js"))  # noqa: S704 - our own file
        policy = (
            f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; "
            "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        self.security_headers: Mapping[str, str] = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }

    def _text(self, name: str) -> str:
        return self._environment.get_template(name).render()

    def other(self, name: str, **values: Any) -> str:
        """The page of a name. `base`, if given, stands before every path of ours in this page."""
        return self._environment.get_template(f"{name}.html").render(**values)


def _digest(text: str) -> str:
    """The source of a Content-Security-Policy that allows exactly this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def prose(text: str) -> Markup:
    """The text of a declaration as HTML: what stands between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def instant(at: datetime) -> str:
    """`2026-03-31 09:30 UTC`."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def ago(at: datetime, now: datetime) -> str:
    """How long before now, in one unit: `4 minutes ago`."""
    seconds = (now - at).total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if (count := int(seconds // length)) >= (2 if unit != "minute" else 1):
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now" if seconds >= 0 else "in the future"


def clock(at: datetime, now: datetime) -> str:
    """When something is due: `at 10:31 UTC`, or a date where that is another day; `now` where it is past."""
    if at <= now:
        return "now"
    return f"at {at:%H:%M} UTC" if at.date() == now.date() else f"at {instant(at)}"


def capital(text: str) -> str:
    """A text that begins with a capital, and is otherwise as it was."""
    return text[:1].upper() + text[1:]
