"""What `check --live` finds on a platform, and how a connector looks."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Generic, TypeVar

from exporter.base.errors import AuthFailed, Forbidden, Gone, RateLimited, SourceError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what was found; `wrong`: somebody should do something before going live."""

    what: str
    text: str
    wrong: bool = False


@dataclass(frozen=True, slots=True)
class Look(Generic[T]):
    """What a question brought: its answer, or a finding that says why there is none."""

    answer: T | None
    finding: Finding | None = None


async def look(what: str, question: Awaitable[T], *, needs: str) -> Look[T]:
    """Puts a question. `needs`: what the credential has to be allowed for it, in the platform's own words.

    Raises what concerns the whole source: a refused credential, too many questions.
    """
    try:
        return Look(await question)
    except Forbidden as error:
        return Look(None, Finding(what, f"not allowed ({place(error)}); the credential needs {needs}", wrong=True))
    except Gone as error:
        text = f"not there ({place(error)}); is the url right, and may the credential see it: {needs}?"
        return Look(None, Finding(what, text, wrong=True))
    except (AuthFailed, RateLimited):
        raise
    except SourceError as error:
        return Look(None, Finding(what, str(error), wrong=True))


def place(error: SourceError) -> str:
    """Which question was refused, and how, without what it means in general."""
    return ": ".join(str(error).split(": ")[:2])
