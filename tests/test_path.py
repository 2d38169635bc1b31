"""JMESPath expressions of a config: what they find, and which are refused because they could build without end."""

from typing import Any

import pytest

from exporter.collect.path import fields_of, path, path_fault
from exporter.collect.unseen import unseen
from exporter.records.unreadable import Unreadable

ITEM = {
    "a": {"b": {"c": 1}},
    "tags": [{"k": "team", "v": "it"}, {"k": "tier", "v": 2}],
    "odd-key": "x",
    "@odata.nextLink": "https://x.test",
    "names": ["b", "a"],
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.b.c", 1),
        ('"odd-key"', "x"),
        ('"@odata.nextLink"', "https://x.test"),
        ("tags[?k=='team'].v | [0]", "it"),
        ("tags[-1].v", 2),
        ("missing || names[0]", "b"),
        ("missing || `[]`", []),
        ("a.* | [0].c", 1),
        ("length(tags)", 2),
        ("contains(names, 'a')", True),
        ("sort(names)[0]", "a"),
        ("a.b.c < `2` && !missing", True),
        ("missing.more", None),
        ("contains(missing, 'a')", None),
        ("length(missing)", None),
        ("sum([a.b.c, to_number(tags[1].v)])", 3),
        ("max([names[0], names[1]])", "b"),
    ],
)
def test_an_expression_finds_what_it_says_and_nothing_where_nothing_is(text: str, found: Any) -> None:
    assert path_fault(text) == ""
    assert path(text)(ITEM) == found


@pytest.mark.parametrize("text", ["length(a.b.c)", "names[::0]", "abs('x')", "sort(tags)"])
def test_what_an_expression_cannot_be_applied_to_is_said_without_quoting_it(text: str) -> None:
    assert path_fault(text) == ""
    with pytest.raises(Unreadable) as caught:
        path(text)(ITEM)

    assert str(caught.value) == "has another shape than the expression expects"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("|".join(["[@,@][]"] * 24), "[a, b] is not supported"),
        ("|".join(["sum([@, values([@,@])])"] * 3), "[a, b] is not supported"),
        ("|".join(["values({a:@,b:@})"] * 9), "{a: b} is not supported"),
        ("".join(["*.keys(`{\"a\":0,\"b\":0}`)[]."] * 5) + "x", "a literal may only be a text"),
        ("names[*].sort(`[0,0,0,0]`)[]", "a literal may only be a text"),
        ("to_string(to_array(to_string(@)))", "the function to_string is not supported; known: abs, avg"),
        ("join(a, names)", "the function join is not supported"),
        ("map(&a, @)", "the function map is not supported"),
        ("nothing_like_this(a)", "the function nothing_like_this is not supported"),
        ("a" * 201, "longer than 200 characters"),
        ("a..b", "this is no JMESPath expression"),
        ("odd-key", 'write it like data.items, or "odd-key"'),
        ("", "this is no JMESPath expression"),
    ],
)  # fmt: skip
def test_what_could_build_more_than_there_is_is_refused(text: str, why: str) -> None:
    assert why in path_fault(text)


@pytest.mark.parametrize("text", ["(" * 99 + "a" + ")" * 99, "!" * 199 + "a", "a[?" * 49 + "b" + "]" * 49])
def test_the_deepest_expression_there_may_be_is_read(text: str) -> None:
    assert path_fault(text) in ("", "this expression is nested too deeply")
    if not path_fault(text):
        assert path(text)({"a": None}) in (None, False, True)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("a.b.c", {"a.b.c"}),
        ("tags[?k=='team'].v | [0]", {"tags"}),
        ("a.b[0].c || d && !e", {"a", "d", "e"}),
        ("contains(a.b, c)", {"a.b", "c"}),
        ("a[1:2]", {"a"}),
        ("@", set()),
    ],
)
def test_the_fields_that_an_expression_needs_are_known(text: str, fields: set[str]) -> None:
    assert fields_of(text) == fields


def test_a_path_that_no_item_has_is_named_with_the_nearest_one() -> None:
    items = [
        {"createdAt": None, "state": {"name": "x"}},
        {"custom": [{"name": "Team", "value": "it"}], "by": {"a@b.c": 1}},
    ]
    looked_at = [
        "created_at",
        "createdAt",
        "state.nam",
        "state.name",
        "custom.Team",
        "custom.Tema",
        "zzz",
        "custom.value",
    ]

    assert unseen(looked_at, items) == [
        ("created_at", "createdAt"),
        ("custom.Tema", "custom.Team"),
        ("state.nam", "state.name"),
        ("zzz", ""),
    ]
    assert unseen(["a"], []) == []
    assert unseen(["by.a@b.d"], items) == [("by.a@b.d", "")]
