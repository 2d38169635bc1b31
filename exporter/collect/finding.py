"""The findings of `check --live` on a platform, and the helper with which a connector gathers them."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from exporter.base.errors import AuthFailed, Forbidden, Gone, RateLimited, SourceError, Unreachable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked, and the result. `wrong`: somebody should act before going live."""

    what: str
    text: str
    wrong: bool = False


async def look(what: str, question: Awaitable[T], *, needs: str) -> tuple[T | None, list[Finding]]:
    """What a question brings, or what is found where it brings nothing.

    `needs`: what the credential has to be allowed for it, in the platform's own words. What concerns the source as a
    whole is raised: a credential that is refused, too many questions, no connection.
    """
    try:
        return await question, []
    except Forbidden as error:
        text = f"not allowed ({said(error)}); the credential needs {needs}"
    except Gone as error:
        text = f"not there ({said(error)}); is it named rightly, and may the credential see it? It needs {needs}"
    except (AuthFailed, RateLimited, Unreachable):
        raise
    except SourceError as error:
        text = str(error)
    return None, [Finding(what, text, wrong=True)]


def said(error: SourceError) -> str:
    """Which question was refused and with which status, without what that means in general."""
    return ": ".join(str(error).split(": ")[:2])
