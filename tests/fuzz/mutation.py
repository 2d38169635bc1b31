"""Makes odd values out of good ones: what clocks, exports and strangers have been seen to send."""

import copy
import json
import random
from typing import Any

HUGE, DEEP, HALF = "a number of 5,000 digits", "100,000 brackets", "half an emoji"
SIGNS = ("\0", "\ud83d", '"', "'", "\n", "\t", ":", "{", "[", "(", ",", "-", "9" * 400, "&a", "*a", "é")
ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**19,
    -(10**19),
    2**63,
    1e300,
    float("nan"),
    float("inf"),
    "",
    " ",
    "\0",
    "0",
    "word",
    "x" * 5000,
    "\ud83d",
    "'; drop table run; --",
    "someone@customer.test",
    "2026-02-30T00:00:00Z",
    "2026-03-28 13:35",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "1,900.00",
    [],
    [[]],
    ["a", 1, None],
    {},
    {"id": {}},
    {"name": ["a"]},
    HUGE,
    DEEP,
    HALF,
)


def mutated(draw: random.Random, value: Any) -> Any:
    """A copy of a decoded JSON value with one to three odd places."""
    made = json.loads(json.dumps(value))
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        places = list(_places(made))
        if not places:
            return odd(draw)
        # What stands high is as likely as what stands deep: of each level alike.
        level = draw.choice(sorted({depth for depth, _, _ in places}))
        _, owner, key = draw.choice([place for place in places if place[0] == level])
        what = draw.randrange(10)
        if what == 0:
            del owner[key]
        elif what == 1 and isinstance(owner, list):
            owner.append(copy.deepcopy(owner[key]))
        elif what == 2:
            _, other, at = draw.choice(places)
            owner[key] = json.loads(json.dumps(other[at])) if _holds(other, at) else None
        else:
            owner[key] = odd(draw)
    return made


def odd(draw: random.Random) -> Any:
    """One of the odd values, for oneself."""
    return copy.deepcopy(draw.choice(ODD))


def _holds(owner: Any, key: Any) -> bool:
    return key in owner if isinstance(owner, dict) else isinstance(key, int) and key < len(owner)


def _places(value: Any, depth: int = 0) -> Any:
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield depth, value, key
            if depth < 12:
                yield from _places(value[key], depth + 1)


def encoded(value: Any) -> str:
    """As JSON that only lenient readers take."""
    text = json.dumps(value)
    return (
        text.replace(json.dumps(HUGE), "9" * 5000)
        .replace(json.dumps(DEEP), "[" * 100_000 + "]" * 100_000)
        .replace(json.dumps(HALF), '"to do \\ud83d"')
    )


def misspelt(draw: random.Random, text: str) -> str:
    """A text with some signs changed, moved or doubled."""
    signs = list(text)
    for _ in range(draw.choice((1, 1, 2, 5))):
        at = draw.randrange(len(signs) + 1)
        what = draw.randrange(4)
        if what == 0:
            del signs[at : at + draw.choice((1, 1, 8, 60))]
        elif what == 1:
            signs[at:at] = signs[at : at + draw.choice((1, 10, 200))]
        else:
            signs.insert(
                at,
                draw.choice(
                    ("\0", "\ud83d", '"', "'", "\n", "\t", ":", "{", "[", "(", ",", "-", "9" * 400, "&a", "*a", "é")
                ),
            )
    return "".join(signs)
