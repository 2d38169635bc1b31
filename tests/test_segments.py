"""Columns filled from the platform's items."""

import hashlib
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from exporter.collect.mapping import Which, apply, compiled, faults
from exporter.records import RECORDS, SEGMENTS, Incident, Json, Read, Record, Request, Run, Workflow, person_columns
from exporter.records.columns import COLUMNS, Rule
from exporter.records.labels import LABELS
from exporter.records.unreadable import attempt
from tests import deadline

ONE_PLACE = "give one of from (a path in the platform's item), query (a JMESPath expression) and value (a constant)"
TWICE = "from and field are both given, and mean the same; keep one"


def person(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def filled(record: Record, item: Json, **rules: Rule | list[Rule]) -> tuple[Record, Counter[str]]:
    """The record after its mapping, and the columns that could not be read."""
    lists = {name: rule if isinstance(rule, list) else [rule] for name, rule in rules.items()}
    mapping = compiled(lists, [type(record)])
    made, noted, _ = attempt(lambda read: apply(read, mapping, person), Read(record, item))
    assert made is not None
    return made, Counter(fault.column for fault in noted)


def team(item: Json, *rules: Rule) -> str | None:
    record, unread = filled(Request(id="1"), item, team=list(rules))

    assert not unread
    return record.team


def request(item: Json, column: str, rule: Rule, **values: Any) -> tuple[Any, bool]:
    """What a column becomes, and whether its value could be read."""
    record, unread = filled(Request(id="1", **values), item, **{column: rule})
    return getattr(record, column), not unread


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("team", {"team": "it"}),
        ("fields.team", {"fields": {"team": "it"}}),
        ("fields.team", {"fields": {"team": {"id": "7", "value": "it"}}}),
        ("fields.team", {"fields": {"team": {"id": "7", "name": "it"}}}),
        ("assignment_group", {"assignment_group": {"link": "https://x", "display_value": "it"}}),
        (
            "CustomFields.Team",
            {"CustomFields": [{"name": "Area", "values": ["x"]}, {"name": "Team", "values": ["it"]}]},
        ),
        ("custom_fields.360001", {"custom_fields": [{"id": 360000, "value": "x"}, {"id": 360001, "value": "it"}]}),
        ("properties.team.value", {"properties": [{"key": "team", "value": "it"}]}),
        ("tags.0", {"tags": ["it", "x"]}),
        ("tags.name", {"tags": [{"id": 1, "name": "it"}, {"id": 2, "name": "x"}]}),
        ("tags", {"tags": [None, "", {"name": "it"}]}),
        ("metadata.labels.example.com/team", {"metadata": {"labels": {"example.com/team": "it"}}}),
    ],
)
def test_a_path_is_found_in_what_platforms_answer(path: str, item: Json) -> None:
    assert team(item, Rule(field=path)) == "it"


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"a": None},
        {"a": {}},
        {"a": {"b": None}},
        {"a": {"b": ""}},
        {"a": {"b": "  "}},
        {"a": []},
        {"a": {"b": [[]]}},
        {"a": 5},
        [],
        None,
    ],
)
def test_what_is_not_there_is_unknown(item: Json) -> None:
    assert team(item, Rule(field="a.b")) is None


def test_nothing_found_leaves_what_the_connector_knew() -> None:
    assert request({}, "category", Rule(field="a"), category="password") == ("password", True)


def test_what_is_found_stands_over_what_the_connector_knew() -> None:
    assert request({"a": "access"}, "category", Rule(field="a"), category="password") == ("access", True)


def test_from_is_another_name_of_field_and_no_other_rule() -> None:
    read = TypeAdapter(Rule).validate_json

    assert read('{"from": "a.b", "otherwise": 1}', strict=True) == read('{"field": "a.b", "otherwise": 1}', strict=True)
    assert team({"a": {"b": "it"}}, read('{"from": "a.b"}')) == "it"


def test_a_query_chooses_what_no_path_can() -> None:
    item = {"tags": [{"k": "tier", "v": "x"}, {"k": "team", "v": "IT"}]}
    rules = [Rule(query="tags[?k=='squad'].v"), Rule(query="tags[?k=='team'].v | [0]", map={"it": "support"})]

    assert team(item, *rules) == "support"


@pytest.mark.parametrize(
    ("match", "tags", "expected"),
    [
        ("team:(.*)", ["prod", "team:it"], "it"),
        ("team:(.*)", ["subteam:x", "team:", "team:it", "team:late"], "it"),
        ("team:(.*)", ["prod"], None),
        ("it|sales", ["prod", "sales"], "sales"),
        ("(?:team|squad):(.*)", [{"name": "squad:it"}], "it"),
    ],
)
def test_the_first_text_that_matches_whole_gives_its_first_group(match: str, tags: Json, expected: str | None) -> None:
    assert team({"tags": tags}, Rule(field="tags", match=match)) == expected


def test_alternatives_are_tried_in_order_and_a_default_ends_the_search() -> None:
    rules = [Rule(field="a"), Rule(field="b", default="shared"), Rule(value="never")]

    assert [team(item, *rules) for item in ({"a": "it", "b": "x"}, {"b": "x"}, {})] == ["it", "x", "shared"]


def test_a_constant_needs_no_item() -> None:
    assert team(None, Rule(value="emea")) == "emea"


def test_words_are_translated_whatever_their_case_and_others_pass() -> None:
    rule = Rule(field="a", map={"IT Support": "it", "none": None})

    assert [team({"a": word}, rule) for word in ("IT Support", " it support ", "Sales", "none")] == [
        "it",
        "it",
        "Sales",
        None,
    ]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("  it \n", "it"),
        ("a\tb\0c", "a b c"),
        ("x" * 150, "x" * 100),
        ("é" * 3, "ééé"),
        (5, "5"),
        (5.0, "5"),
        (True, "true"),
    ],
)
def test_a_label_is_trimmed_capped_and_without_control_characters(found: Any, expected: str) -> None:
    assert team({"a": found}, Rule(field="a")) == expected


def test_labels_that_the_connector_filled_are_cleaned_too() -> None:
    record, _ = filled(Request(id="1", category=" a\nb ", priority="", channel="email", request_type="x" * 101), {})

    assert isinstance(record, Request)
    assert (record.category, record.priority, record.channel, record.request_type) == ("a b", None, "email", "x" * 100)


@pytest.mark.parametrize(
    ("column", "rule", "found", "expected"),
    [
        ("handled_by", Rule(field="a"), "automation", "automation"),
        ("kind", Rule(field="a"), "Service Request", "service_request"),
        ("handled_by", Rule(field="a", map={"bot": "automation"}), "Bot", "automation"),
        ("sla_breached", Rule(field="a"), "Yes", True),
        ("sla_breached", Rule(field="a"), 0, False),
        ("self_service", Rule(field="a", map={"portal": True, "phone": False}), "phone", False),
        ("reopen_count", Rule(field="a"), "3", 3),
        ("reopen_count", Rule(field="a"), 3.0, 3),
        ("human_seconds", Rule(field="a", unit="minutes"), "1.5", 90.0),
        ("human_seconds", Rule(field="a", unit="milliseconds"), 1500, 1.5),
        ("csat", Rule(field="a", scale=(1, 5)), 5, 1.0),
        ("csat", Rule(field="a", scale=(1, 5)), "2", 0.25),
        ("csat", Rule(field="a", map={"good": 1, "bad": 0}), "good", 1.0),
        ("csat", Rule(field="a", map={"n/a": None}, scale=(1, 5)), "N/A", None),
        ("effort", Rule(field="a", scale=(7, 1)), 7, 0.0),
        ("sentiment", Rule(field="a", scale=(0, 10)), 0, -1.0),
        ("sentiment", Rule(field="a", scale=(0, 10)), 5, 0.0),
        ("escalated_at", Rule(field="a"), "2026-03-31T12:00:00+02:00", datetime(2026, 3, 31, 10, tzinfo=UTC)),
        ("escalated_at", Rule(field="a"), 1774951200, datetime(2026, 3, 31, 10, tzinfo=UTC)),
        ("escalated_at", Rule(field="a", unit="milliseconds"), 1774951200000, datetime(2026, 3, 31, 10, tzinfo=UTC)),
    ],
)
def test_a_value_becomes_what_its_column_holds(column: str, rule: Rule, found: Any, expected: Any) -> None:
    assert request({"a": found}, column, rule) == (expected, True)


@pytest.mark.parametrize(
    ("column", "rule", "found"),
    [
        ("handled_by", Rule(field="a"), "robot"),
        ("sla_breached", Rule(field="a"), "perhaps"),
        ("reopen_count", Rule(field="a"), "three"),
        ("reopen_count", Rule(field="a"), 1.5),
        ("reopen_count", Rule(field="a"), -1),
        ("reopen_count", Rule(field="a"), True),
        ("human_seconds", Rule(field="a"), -5),
        ("human_seconds", Rule(field="a"), "nan"),
        ("human_seconds", Rule(field="a"), "1e999"),
        ("human_seconds", Rule(field="a", unit="minutes"), "soon"),
        ("csat", Rule(field="a"), 4),
        ("csat", Rule(field="a", scale=(1, 5)), 6),
        ("sentiment", Rule(field="a"), -1.5),
        ("escalated_at", Rule(field="a"), "2026-03-31T12:00:00"),
        ("escalated_at", Rule(field="a"), "yesterday"),
        ("escalated_at", Rule(field="a"), 1e30),
    ],
)
def test_what_a_column_cannot_hold_is_unknown_and_told(column: str, rule: Rule, found: Any) -> None:
    assert request({"a": found}, column, rule) == (None, False)


TIER = Rule(field="a", map={"vip": "gold", "2": "silver"}, otherwise="standard")


@pytest.mark.parametrize(
    ("found", "expected"),
    [(["new", "vip"], "gold"), (["new", 2], "silver"), (["new"], "standard"), (2.0, "silver"), ([], None)],
)
def test_of_several_words_that_in_the_map_counts_before_otherwise(found: Any, expected: str | None) -> None:
    assert request({"a": found}, "category", TIER) == (expected, True)
    assert request({"a": ["new", "vip"]}, "category", Rule(field="a", map=TIER.map)) == ("new", True)


@pytest.mark.parametrize(
    ("column", "rule", "found", "expected"),
    [
        ("human_seconds", Rule(query="a[].hours", unit="hours"), [{"hours": 1}, {"hours": 2}], (None, False)),
        ("human_seconds", Rule(query="sum(a[].hours)", unit="hours"), [{"hours": 1}, {"hours": 2}], (10_800.0, True)),
        ("human_seconds", Rule(field="a.hours"), [{"hours": 1}, {"hours": 1.0}, {"hours": None}], (1.0, True)),
        ("self_service", Rule(field="a", map={"bot": True}, otherwise=False), ["x", "bot"], (True, True)),
        ("sla_breached", Rule(field="a"), [True, False], (None, False)),
        ("escalated_at", Rule(field="a"), ["2026-03-31T12:00Z", "2026-03-30T12:00Z"], (None, False)),
        ("escalated_at", Rule(field="a"), [None, ""], (None, True)),
        ("escalated_at", Rule(field="a"), 0, (None, False)),  # an end that is not there, and none of 1970
        ("escalated_at", Rule(field="a", nulls=("0",)), 0, (None, True)),
        ("human_seconds", Rule(field="a", nulls=("0", "-1")), 0.0, (None, True)),
        ("human_seconds", Rule(field="a", nulls=("-1",)), -1, (None, True)),
        ("human_seconds", Rule(field="a", nulls=("1",)), 1.5, (1.5, True)),
    ],
)
def test_of_several_numbers_or_times_that_differ_none_is_taken(
    column: str, rule: Rule, found: Any, expected: tuple[Any, bool]
) -> None:
    assert request({"a": found}, column, rule) == expected


def test_a_list_column_takes_every_text() -> None:
    item = {"people": [{"name": "Ada"}, {"name": "Ben"}], "tags": ["owner:Cy", "x", "owner:Di"]}

    assert filled(Workflow(id="1"), item, owners=Rule(field="people"))[0] == Workflow(id="1", owners=("Ada", "Ben"))
    assert filled(Workflow(id="1"), item, owners=Rule(field="tags", match="owner:(.*)"))[0] == Workflow(
        id="1", owners=("Cy", "Di")
    )


def test_persons_are_hashed_whoever_filled_them() -> None:
    expected = person("ada@example.com")

    assert filled(Request(id="1", requester=" Ada@Example.com"), {})[0] == Request(id="1", requester=expected)
    assert request({"by": {"name": "ada@example.com"}}, "requester", Rule(field="by")) == (expected, True)
    assert request({}, "requester", Rule(field="by"), requester="  ") == (None, True)


def test_ids_of_persons_that_differ_in_case_stay_two_persons() -> None:
    assert request({}, "requester", Rule(field="by"), requester="005aB") == (person("005aB"), True)
    assert request({}, "requester", Rule(field="by"), requester="005AB") == (person("005AB"), True)


def test_a_record_without_the_column_passes_it_over() -> None:
    mapping = compiled({"csat": [Rule(value=1)], "team": [Rule(value="it")]}, [Request, Run])

    assert apply(Read(Request(id="1"), {}), mapping, person) == Request(id="1", team="it", csat=1.0)
    assert apply(Read(Run(id="1"), {}), mapping, person) == Run(id="1", team="it")


def test_a_rule_for_one_record_stands_before_one_for_all() -> None:
    rules = {"category": Rule(value="all"), "incident.category": Rule(value="outage"), "request.csat": Rule(value=1)}
    mapping = compiled({name: [rule] for name, rule in rules.items()}, [Request, Incident])

    assert apply(Read(Request(id="1"), {}), mapping, person) == Request(id="1", category="all", csat=1.0)
    assert apply(Read(Incident(id="1"), {}), mapping, person) == Incident(id="1", category="outage")


@pytest.mark.parametrize(
    ("which", "item", "expected"),
    [
        (Which(field="type", match="Incident|Problem"), {"type": "Incident"}, True),
        (Which(field="type", match="Incident|Problem"), {"type": "Incidental"}, False),
        (Which(field="type", match="(system )?Incident"), {"type": "Incident"}, True),
        (Which(field="labels.name", match="sev:.*"), {"labels": [{"name": "ui"}, {"name": "sev:1"}]}, True),
        (Which(field="incident.id"), {"incident": {"id": 7}}, True),
        (Which(field="incident.id"), {"incident": {"id": " "}}, False),
        (Which(field="incident.id"), {"incident": None}, False),
        (Which(field="incident.id"), ["odd"], False),
    ],
)
def test_an_option_says_which_items_are_something_more(which: Which, item: Json, *, expected: bool) -> None:
    assert which.holds(item) is expected


@pytest.mark.parametrize("wrong", [{"field": "a", "match": "("}, {"field": "a..b"}, {"field": "a", "match": "(?=x)"}])
def test_an_option_that_can_hold_for_no_item_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Which).validate_python(wrong)


def test_the_record_given_is_left_as_it_was() -> None:
    given_record = Request(id="1", requester="ada")
    filled(given_record, {}, team=Rule(value="it"))

    assert given_record == Request(id="1", requester="ada")


@pytest.mark.parametrize("record", RECORDS.values())
def test_without_a_mapping_a_record_stays_as_it_is(record: type[Record]) -> None:
    given_record = record(id="1", url="https://x", team="it")

    assert filled(given_record, {"team": "other"})[0] == given_record


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "name", "value", "0"]), inner)
    ),
    max_leaves=6,
)


@pytest.mark.slow
@given(
    item=JSON,
    column=st.sampled_from(["team", "handled_by", "csat", "reopen_count", "sla_breached", "escalated_at", "requester"]),
    path=st.sampled_from(["a", "a.b", "a.0", "a.name", "0", "a.b.a"]),
    match=st.sampled_from([None, "(.*)", "x?"]),
)
def test_no_item_stops_a_poll(item: Json, column: str, path: str, match: str | None) -> None:
    value, readable = request(item, column, Rule(field=path, match=match))

    assert readable or value is None
    assert value != ""
    assert column != "team" or value is None or (value.isprintable() and len(value) <= 100)


@pytest.mark.parametrize(
    ("column", "rule", "expected"),
    [
        ("team", Rule(field="a"), []),
        ("team", Rule(), [((), ONE_PLACE)]),
        ("team", Rule(field="a", query="a"), [((), ONE_PLACE)]),
        ("team", Rule(query="a", value="b"), [((), ONE_PLACE)]),
        (
            "team",
            Rule(from_="a", field="b"),
            [(("from",), TWICE)],
        ),
        ("team", Rule(field="a."), [(("field",), "part of this path is empty; write it like CustomFields.Team")]),
        ("team", Rule(field="a", scale=(1, 5)), [(("scale",), "team is not a number")]),
        (
            "csat",
            Rule(field="a", scale=(5, 5)),
            [(("scale",), "write the scale from the worst to the best value, and only for csat, effort and sentiment")],
        ),
        ("csat", Rule(value=5), [(("value",), "csat cannot have this value; it is a number from 0 to 1")]),
        (
            "csat",
            Rule(field="a", map={"good": 7}),
            [(("map", "good"), "csat cannot have this value; it is a number from 0 to 1")],
        ),
        (
            "category",
            Rule(field="a", map={"SAP": "erp", "sap": "glue", "Sap": "erp"}),
            [
                (
                    ("map", "sap"),
                    "this word is twice in the map, with two meanings; SAP and sap are one word",
                )
            ],
        ),
        (
            "handled_by",
            Rule(field="a", default="bot"),
            [(("default",), "handled_by cannot have this value; it is one of assisted, automation, human")],
        ),
        (
            "team",
            Rule(field="a", match="("),
            [
                (
                    ("match",),
                    "this is not a regular expression: missing ): (; RE2 has no look-around and no back-references",
                )
            ],
        ),
    ],
)
def test_a_rule_that_cannot_work_is_found_before_it_runs(
    column: str, rule: Rule, expected: list[tuple[tuple[str, ...], str]]
) -> None:
    assert list(faults(rule, COLUMNS[Request][column])) == expected


@pytest.mark.parametrize("name", RECORDS)
def test_labels_are_texts_that_are_neither_ids_nor_persons(name: str) -> None:
    columns = COLUMNS[RECORDS[name]]

    assert set(LABELS[name]) <= {column for column, each in columns.items() if each.kind == "text"}
    assert not set(LABELS[name]) & {"id", "url", "source", *person_columns(RECORDS[name])}
    assert LABELS[name][:4] == SEGMENTS


@pytest.mark.timeout(deadline.seconds(20))
@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)*(.*)*(.*)*x", "(a?){64}a{64}b"])
def test_no_pattern_takes_longer_than_the_text_is_long(pattern: str) -> None:
    assert team({"team": "a" * 99_999 + "!"}, Rule(field="team", match=pattern)) is None


def test_a_text_too_long_to_be_matched_is_not_matched_in_part() -> None:
    found = [
        team({"team": "a" * length + end}, Rule(field="team", match="a+")) for length, end in [(9, ""), (100_000, "!")]
    ]

    assert found == ["a" * 9, None]
