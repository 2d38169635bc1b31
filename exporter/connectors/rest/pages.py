"""The pages of a list, in whichever way its API cuts it."""

import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import Field

from exporter.collect import paging
from exporter.collect.answer import Place
from exporter.collect.http import Answer, Client, Gone, NotUnderstood
from exporter.collect.path import path, path_fault
from exporter.records import Json
from exporter.records.unreadable import Unreadable

MARK = "{since}"
Scalar = str | int | float | bool
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
DEEPEST = 3  # levels in which lists are looked for, to name them
MOST_NAMED = 8
NAME = re.compile(r"[A-Za-z_@$][\w.@$-]{0,39}")  # of a field, as it may be shown

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
    following = leads_on(how.next, "paging.next", linked=how.style == "url") if how.next else ""
    last = ended(how.more, how.style) if how.more else None
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

    answer = await paging.Pages(client, ask, items, smaller=False).at(None)
    if "next" in answer.links:
        raise NotUnderstood(f"{answer.where}: this is only the first page of several; set paging: {{ style: link }}")
    yield answer


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


def ended(text: str, style: Style) -> Callable[[Answer], bool]:
    """A function that tells the last page by `paging.more`. Where an answer says nothing of the kind that is no "no":
    then the list goes on until a page is empty, or without a token."""
    more, there = at(text, "paging.more"), holds(text)

    def last(answer: Answer) -> bool:
        found = more(answer)
        if found is None and not there(answer):
            return style != "token" and not answer.items
        return not found

    return last


def leads_on(text: str, key: str, *, linked: bool) -> Callable[[Answer], Json]:
    """A function that finds the token of the next page, or its address; None or "" after the last one."""
    find, kind = at(text, key), "address" if linked else "token"

    def found(answer: Answer) -> Json:
        given = find(answer)
        if not given or isinstance(given, str) or (type(given) is int and not linked):
            return given
        shape = "a list" if isinstance(given, list) else "an object" if isinstance(given, dict) else str(given).lower()
        raise NotUnderstood(f"{answer.where}: what the answer has at {key} is {shape} and no {kind}")

    return found


def holds(text: str) -> Callable[[Answer], bool]:
    """A function that tells whether an answer has what a path of names leads to, were it null. No other expression
    tells that."""
    before, _, name = text.rpartition(".")
    find = path(before or "@") if plain(text) else None

    def there(answer: Answer) -> bool:
        owner = find(answer.body) if find else None
        return isinstance(owner, dict) and name in owner

    return there


def items_of(text: str | None) -> Callable[[Answer], Json]:
    """A function that finds the items of an answer. NotUnderstood says which lists there are."""
    find = at(text, "items") if text is not None else lambda answer: answer.body
    there = holds(text) if text is not None else lambda _: False

    def items(answer: Answer) -> Json:
        found = find(answer)
        if isinstance(found, list):
            return found
        if answer.body is None or (found is None and there(answer)):
            return []  # many APIs write an empty list as null
        what = f"has no list at items: {text}" if text is not None else "is no list"
        raise NotUnderstood(f"{answer.where}: the answer {what}; {advice(answer.body, text or '')}")

    return items


def plain(text: str) -> bool:
    """Whether an expression is only a path of names."""
    return all(part.isidentifier() for part in text.split("."))


def lists(body: Json, before: str = "", depth: int = DEEPEST) -> Iterator[tuple[str, int]]:
    """(path, length) of each list in an answer, the outermost first."""
    if not isinstance(body, dict) or not depth:
        return
    for name, each in body.items():
        if isinstance(each, list) and NAME.fullmatch(name):
            yield before + spelled(name), len(each)
    for name, each in body.items():
        if NAME.fullmatch(name):
            yield from lists(each, f"{before}{spelled(name)}.", depth - 1)


def spelled(name: str) -> str:
    """A name of a field as JMESPath wants it."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else f'"{name}"'


def advice(body: Json, wanted: str) -> str:
    """Which list of an answer may be meant, where there is none at the path that the config names."""
    if isinstance(body, list):
        return "the answer is itself the list; leave items out"
    there = dict(lists(body))
    if there:
        near = get_close_matches(wanted, there, n=1, cutoff=0.6)
        names = list(dict.fromkeys([*near, *there]))[:MOST_NAMED]
        return f"set items to one of its lists: {', '.join(f'{name} ({there[name]:,})' for name in names)}"
    fields = [name for name in body if NAME.fullmatch(name)][:MOST_NAMED] if isinstance(body, dict) else []
    return f"there is no list in the answer, only {', '.join(fields) or 'a value'}; check url and endpoint"


def filled(given: Json, since: Scalar) -> Any:
    """Parameters or a body with `{since}` filled in; where it is all of a text, it keeps its type."""
    if isinstance(given, str):
        return since if given == MARK else given.replace(MARK, str(since))
    if isinstance(given, Mapping):
        return {name: filled(each, since) for name, each in given.items()}
    return [filled(each, since) for each in given] if isinstance(given, list | tuple) else given


def sent(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters as they stand in an address: true and false are words there."""
    word: Callable[[Any], Any] = lambda each: str(each).lower() if isinstance(each, bool) else each  # noqa: E731
    return {name: [word(one) for one in each] if isinstance(each, list) else word(each) for name, each in given.items()}
