"""The pages of a list, in whichever way its API cuts it."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from exporter.collect import paging
from exporter.collect.answer import Place
from exporter.collect.http import Answer, Client, Gone, NotUnderstood
from exporter.collect.path import path, path_fault
from exporter.connectors.rest.mapping import advice
from exporter.records import Json
from exporter.records.unreadable import Unreadable

Style = Literal["none", "page", "offset", "token", "link", "url"]
NEEDED: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "page": (),
    "offset": (),
    "token": ("next", "parameter"),
    "link": (),
    "url": ("next",),
}
"""Style -> keys without which it cannot work."""
USED: Mapping[str, tuple[str, ...]] = {
    "none": ("size_parameter",),
    "page": ("parameter", "size_parameter", "first", "more"),
    "offset": ("parameter", "size_parameter", "more"),
    "token": ("next", "parameter", "size_parameter", "more"),
    "link": ("size_parameter",),
    "url": ("next", "size_parameter"),
}
"""Style -> keys that it uses."""
Faults = Iterator[tuple[tuple[str, ...], str]]


@dataclass(frozen=True, kw_only=True)
class Paging:
    """How a list comes in pages."""

    style: Style = "none"
    parameter: str | None = None  # in which the page, the offset or the token is sent
    size_parameter: str | None = None  # in which page_size is sent; None: it is not
    first: Annotated[int, Field(ge=0)] = 1  # the number of the first page
    next: str | None = None  # where an answer has the next token or address
    more: str | None = None  # where an answer says whether another page follows

    def faults(self) -> Faults:
        given = {name for name in ("parameter", "next", "more") if getattr(self, name) is not None}
        given |= {"first"} if self.first != 1 else set()
        for name in NEEDED[self.style]:
            if name not in given:
                yield (), f"{name} is missing; style {self.style} needs it"
        for name in sorted(given - set(USED[self.style])):
            styles = [style for style, keys in USED.items() if name in keys]
            yield (name,), f"style {self.style} does not use this; it belongs to {' and '.join(styles)}"
        for name in ("next", "more"):
            expression = getattr(self, name)
            if expression is not None and (fault := path_fault(expression)):
                yield (name,), fault


@dataclass(frozen=True, kw_only=True)
class Question:
    """A list as it is asked for, but for where in it."""

    endpoint: str
    params: Mapping[str, Any]
    body: Mapping[str, Any] | None
    headers: Mapping[str, str]
    items: str | None
    size: int


def pages(client: Client, how: Paging, question: Question) -> AsyncGenerator[Answer]:
    """The pages of a list."""
    client.headers.update(question.headers)
    asked: dict[str, Any] = {"params": question.params, "items": items_of(question.items)}
    if question.body is not None:
        asked["json"] = question.body
    sized = {"size": question.size, "size_as": how.size_parameter or ""}
    following = at(how.next, "paging.next") if how.next else ""
    more = at(how.more, "paging.more") if how.more else None
    last = (lambda answer: not more(answer)) if more else None
    ways: Mapping[str, Callable[..., AsyncGenerator[Answer]]] = {
        "none": only,
        "page": numbered,
        "offset": paging.by_offset,
        "token": paging.by_token,
        "link": paging.by_link,
        "url": paging.by_link,
    }
    if how.style == "page":
        asked |= {**sized, "number_as": how.parameter or "page", "first": how.first, "last": last}
    elif how.style == "offset":
        sized["size_as"] = how.size_parameter or "limit"
        # A short page need not be the last one: the API may give fewer items than it is asked for.
        asked |= {**sized, "offset_as": how.parameter or "offset", "last": last or (lambda answer: not answer.items)}
    elif how.style == "token":
        asked |= {**sized, "next_in": following, "next_as": how.parameter, "last": last}
    elif how.size_parameter:
        asked["params"] = {how.size_parameter: question.size, **question.params}
    if how.style == "url":
        asked["next_in"] = following
    return ways[how.style](client, question.endpoint, **asked)


async def only(client: Client, endpoint: str, *, items: Place, **question: Any) -> AsyncGenerator[Answer]:
    """A list that comes as a whole."""

    async def ask(_place: None, _size: int) -> Answer:
        return await client.ask(endpoint, **question)

    yield await paging.Pages(client, ask, items, smaller=False).at(None)


async def numbered(client: Client, endpoint: str, **question: Any) -> AsyncGenerator[Answer]:
    """Pages by number."""
    count = 0
    async with aclosing(paging.by_number(client, endpoint, **question)) as answers:
        try:
            async for answer in answers:
                count += 1
                yield answer
        except Gone as error:
            if not count:
                raise
            told = "the API has no page after its last one; set paging.more to what says whether another page follows"
            raise NotUnderstood(f"{error}; {told}") from None


def at(text: str, key: str) -> Callable[[Answer], Json]:
    """A function that finds in an answer what an expression of the config says."""
    find = path(text)

    def found(answer: Answer) -> Json:
        try:
            return find(answer.body)
        except Unreadable as error:
            raise NotUnderstood(f"{answer.where}: what the answer has at {key} {error}") from None

    return found


def items_of(text: str | None) -> Callable[[Answer], Json]:
    """A function that finds the items of an answer. NotUnderstood says which lists there are."""
    find = at(text, "items") if text is not None else lambda answer: answer.body
    parent = at(text.rpartition(".")[0] or "@", "items") if text is not None and plain(text) else None
    name = text.rpartition(".")[2] if text is not None else ""

    def items(answer: Answer) -> Json:
        found = find(answer)
        if isinstance(found, list):
            return found
        owner = parent(answer) if parent and found is None else None
        if isinstance(owner, dict) and name in owner:
            return []  # many APIs write an empty list as null
        where = f"no list at items: {text}" if text is not None else "no list"
        raise NotUnderstood(f"{answer.where}: the answer is {where}; {advice(answer.body, text or '')}")

    return items


def plain(text: str) -> bool:
    """Whether an expression is only a path of names."""
    return all(part.isidentifier() for part in text.split("."))
