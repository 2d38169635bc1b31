"""What spans are, in both encodings, and the records that they must become."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from exporter.collect.delivery import Delivery
from exporter.records import Change, Run
from exporter.records.columns import Rule
from tests.connectors.truth import Truth
from tests.connectors.world import AT

ENUMS = "the words are published as a package of Python; tests/connectors/otlp/test_otlp.py compares them"
TECHNICAL = set[str]()

JSON, PROTOBUF = "application/json", "application/x-protobuf"
NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
TRACE = "5b8efff798038103d269b633813fc60c"
SERVICE = {"service.name": "helper"}


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def nanoseconds(moment: datetime) -> str:
    return f"{round(moment.timestamp())}000000000"


def valued(given: Any) -> dict[str, Any]:
    """A value as OTLP has it in JSON."""
    if isinstance(given, bool):
        return {"boolValue": given}
    if isinstance(given, int):
        return {"intValue": str(given)}
    if isinstance(given, float):
        return {"doubleValue": given}
    if isinstance(given, list):
        return {"arrayValue": {"values": [valued(each) for each in given]}}
    return {"kvlistValue": {"values": []}} if given is None else {"stringValue": given}


def attributes(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": valued(value)} for key, value in given.items()]


def span(
    id_: int, minute: int = 1, *, trace: str = TRACE, parent: int = 0, status: int = 0, **more: Any
) -> dict[str, Any]:
    """A span of a minute; `more`: its attributes, with __ for a dot."""
    return {
        "traceId": trace.upper(),
        "spanId": f"{id_:016x}",
        **({"parentSpanId": f"{parent:016x}"} if parent else {}),
        "name": "some span",
        "kind": 1,
        "startTimeUnixNano": nanoseconds(at(minute)),
        "endTimeUnixNano": nanoseconds(at(minute + 1)),
        "attributes": attributes({name.replace("__", "."): value for name, value in more.items()}),
        "status": {"code": status, "message": "something about Ada"} if status else {},
        "events": [{"name": "exception", "attributes": attributes({"exception.message": "about Ada"})}],
    }


def agent(id_: int, minute: int = 1, **more: Any) -> dict[str, Any]:
    return span(id_, minute, **{"gen_ai__operation__name": "invoke_agent", "gen_ai__agent__name": "planner", **more})


def pipeline(id_: int, result: str, minute: int = 1, **more: Any) -> dict[str, Any]:
    return span(id_, minute, cicd__pipeline__result=result, **more)


def request(spans: Sequence[Any], resource: Mapping[str, Any] = SERVICE) -> dict[str, Any]:
    return {"resourceSpans": [{"resource": {"attributes": attributes(resource)}, "scopeSpans": [{"spans": [*spans]}]}]}


def in_json(spans: Sequence[Any], resource: Mapping[str, Any] = SERVICE) -> Delivery:
    return Delivery({"content-type": f"{JSON}; charset=utf-8"}, json.dumps(request(spans, resource)).encode(), AT)


def in_protobuf(spans: Sequence[Any], resource: Mapping[str, Any] = SERVICE) -> Delivery:
    """The same by the classes of OpenTelemetry."""
    made = ExportTraceServiceRequest()
    of_resource = made.resource_spans.add()
    _fill(of_resource.resource.attributes, attributes(resource))
    of_scope = of_resource.scope_spans.add()
    for each in spans:
        one = of_scope.spans.add(
            trace_id=bytes.fromhex(each["traceId"]),
            span_id=bytes.fromhex(each["spanId"]),
            parent_span_id=bytes.fromhex(each.get("parentSpanId", "")),
            name=each["name"],
            start_time_unix_nano=int(each["startTimeUnixNano"]),
            end_time_unix_nano=int(each["endTimeUnixNano"]),
        )
        one.status.code = each["status"].get("code", 0)
        _fill(one.attributes, each["attributes"])
    return Delivery({"content-type": PROTOBUF}, made.SerializeToString(), AT)


def _fill(target: Any, listed: Sequence[Mapping[str, Any]]) -> None:
    for each in listed:
        _set(target.add(key=each["key"]).value, each["value"])


def _set(target: Any, value: Mapping[str, Any]) -> None:
    ((kind, given),) = value.items()
    if kind == "arrayValue":
        target.array_value.SetInParent()
        for each in given["values"]:
            _set(target.array_value.values.add(), each)
    elif kind == "kvlistValue":
        target.kvlist_value.SetInParent()
    else:
        name = {"stringValue": "string_value", "intValue": "int_value", "boolValue": "bool_value"}.get(
            kind, "double_value"
        )
        setattr(target, name, int(given) if kind == "intValue" else given)


def run(id_: int, minute: int = 1, **more: Any) -> Run:
    ended = at(minute + 1)
    values = {"root_id": TRACE, "started_at": at(minute), "finished_at": ended, "updated_at": ended, **more}
    return Run(**{"id": f"{TRACE}-{id_:016x}", "status": "succeeded", "exception": "none", **values})


def truths(_: object) -> Iterator[Truth]:
    for encoded in (in_json, in_protobuf):
        yield agents(encoded)
        yield pipelines(encoded)
    yield conversations()
    yield deployments()
    yield from contents()
    yield values()
    yield oddities()
    yield refusals()


def agents(encoded: Any) -> Truth:
    spans = [
        agent(1),
        agent(2, 2, status=2),
        agent(3, 3, status=1, error__type="refused"),
        agent(4, 4, status=2, error__type="refused"),
        span(5, gen_ai__operation__name="invoke_agent", gen_ai__agent__id="asst_5"),
        span(6, gen_ai__operation__name="invoke_agent"),
        agent(7, gen_ai__operation__name="invoke_workflow", gen_ai__workflow__name="refunds"),
        agent(8, gen_ai__operation__name="invoke_workflow"),
        *(
            span(20 + place, gen_ai__operation__name=step)
            for place, step in enumerate(
                [
                    "chat",
                    "create_agent",
                    "embeddings",
                    "execute_tool",
                    "generate_content",
                    "retrieval",
                    "text_completion",
                ]
            )
        ),
        span(30, gen_ai__operation__name="ponder"),
        span(31, 999_999, http__route="/x"),
        agent(32, 999_999),
    ]
    return Truth(
        what=f"agents {encoded.__name__}",
        deliveries=[encoded(spans)],
        records=[
            run(1, workflow="planner"),
            run(2, 2, workflow="planner", status="failed", exception="application"),
            run(3, 3, workflow="planner"),
            run(4, 4, workflow="planner", status="failed", exception="business"),
            run(5, workflow="asst_5"),
            run(6, workflow="helper"),
            run(7, workflow="refunds"),
            run(8, workflow="planner"),
            run(32, 999_999, workflow="planner", updated_at=AT),
        ],
        options={"business": {"field": "attributes.error.type", "match": "refused"}},
        left_out=["unused: ponder"],
    )


def pipelines(encoded: Any) -> Truth:
    """Their name and number are the resource's or the span's."""
    ends: dict[str, dict[str, Any]] = {
        "success": {"status": "succeeded", "exception": "none"},
        "failure": {"status": "failed", "exception": None},
        "error": {"status": "failed", "exception": "application"},
        "timeout": {"status": "failed", "exception": None},
        "cancellation": {"status": "cancelled", "exception": None},
    }
    resource = {
        "cicd.pipeline.name": "build",
        "cicd.pipeline.run.id": "42",
        "cicd.pipeline.run.url.full": "https://ci/42",
    }
    named: dict[str, Any] = {"reference": "42", "workflow": "build", "url": "https://ci/42", "root_id": None}
    return Truth(
        what=f"pipelines {encoded.__name__}",
        deliveries=[
            encoded([pipeline(place, word) for place, word in enumerate(ends, 1)]),
            encoded(
                [pipeline(11, "skip"), pipeline(12, "pondering"), span(13, cicd__pipeline__task__run__result="success")]
            ),
            encoded([pipeline(14, "success")], resource),
            encoded([pipeline(15, "failure", cicd__pipeline__run__id="43")]),
        ],
        records=[
            *(run(place, root_id=None, **end) for place, end in enumerate(ends.values(), 1)),
            run(14, id="build#42", **named),
            run(15, id="#43", reference="43", status="failed", exception=None, root_id=None),
        ],
        left_out=["status: 'pondering' is none of success, failure, error, timeout, cancellation"],
    )


def conversations() -> Truth:
    return Truth(
        what="conversations",
        deliveries=[in_json([agent(1, gen_ai__conversation__id="c1"), agent(2)])],
        records=[run(1, workflow="planner", root_id="c1"), run(2, workflow="planner")],
        options={"conversation_is_one": True},
    )


def deployments() -> Truth:
    """Pipelines and tasks that deploy are changes, too."""
    deploys: dict[str, Any] = {"cicd__pipeline__task__type": "deploy", "deployment__environment__name": "prod"}
    name: dict[str, Any] = {"deployment__name": "checkout"}
    url: dict[str, Any] = {
        "cicd__pipeline__task__run__url__full": "https://ci/42/deploy",
        "cicd__pipeline__run__url__full": "https://ci/42",
    }

    def change(id_: int, **more: Any) -> Change:
        common: dict[str, Any] = {"environment": "prod", "kind": "deployment", "automated": True, "deployed_at": at(2)}
        return Change(id=f"{TRACE}-{id_:016x}", updated_at=at(2), **common, **more)

    return Truth(
        what="deployments",
        deliveries=[
            in_json([
                span(1, cicd__pipeline__task__run__result="success", **deploys, **name, **url),
                span(2, cicd__pipeline__task__run__result="failure", **deploys),
                span(3, cicd__pipeline__task__run__result="cancellation", **deploys),
                span(4, cicd__pipeline__task__run__result="skip", **deploys),
                span(5, cicd__pipeline__task__run__result="error", **deploys),
                span(6, cicd__pipeline__task__run__result="timeout", **deploys),
                span(7, cicd__pipeline__task__run__result="success", cicd__pipeline__task__type="test"),
                span(8, **deploys),
            ]),
            in_json([pipeline(9, "success", cicd__pipeline__run__url__full="https://ci/9", **deploys)],
                    {"cicd.pipeline.name": "release", "cicd.pipeline.run.id": "9"}),
        ],
        records=[
            change(1, result="succeeded", service="checkout", url="https://ci/42/deploy"),
            change(2, result="failed"),
            change(3, result="cancelled"),
            change(5, result="failed"),
            change(6, result="failed"),
            change(9, result="succeeded", service="release", reference="9", url="https://ci/9"),
            run(9, id="release#9", reference="9", workflow="release", url="https://ci/9", root_id=None),
        ],
        options={"deployments": {"field": "attributes.cicd.pipeline.task.type", "match": "deploy"}},
    )  # fmt: skip


CONTENTS = [
    *("gen_ai.evaluation.explanation", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.prompt.0.content"),
    *("gen_ai.system_instructions", "gen_ai.completion", "gen_ai.retrieval.documents", "gen_ai.retrieval.query.text"),
    *("gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.tool.definitions", "exception.message"),
    *("exception.stacktrace", "user.name", "enduser.id"),
]


def told(name: str, text: str) -> dict[str, Any]:
    return {name: text}


def contents() -> Iterator[Truth]:
    """Contents and persons are no values, even where a config asks for them; nor are long texts."""
    for name in CONTENTS:
        yield Truth(
            what=f"contents {name}",
            deliveries=[in_json([agent(1, **told(name, "about Ada"))])],
            records=[run(1, workflow="planner")],
            fields={"trigger": Rule(field=f"attributes.{name}")},
        )
    for encoded in (in_json, in_protobuf):
        texts = "x" * 256, "x" * 257, ["x" * 257, "short"], [["x" * 257]]
        yield Truth(
            what=f"long texts {encoded.__name__}",
            deliveries=[encoded([agent(place, some__text=text) for place, text in enumerate(texts, 1)])],
            records=[
                run(1, workflow="planner", trigger="x" * 100),
                run(2, workflow="planner"),
                run(3, workflow="planner", trigger="short"),
                run(4, workflow="planner"),
            ],
            fields={"trigger": Rule(field="attributes.some.text")},
        )
        yield Truth(
            what=f"long names {encoded.__name__}",
            deliveries=[encoded([{**agent(1), "name": "x" * 256}, {**agent(2), "name": "x" * 257}])],
            records=[run(1, workflow="planner", trigger="x" * 100), run(2, workflow="planner")],
            fields={"trigger": Rule(field="name")},
        )


def values() -> Truth:
    """Of every kind."""
    kinds = {"a": True, "b": 7, "c": 0.5, "d": ["x", 1], "e": None}
    spans = [agent(place, some__value=value) for place, value in enumerate(kinds.values(), 1)]
    others = [agent(10 + place, some__value=value) for place, value in enumerate(kinds.values(), 1)]
    told = ["true", "7", "0.5", "x", None]
    return Truth(
        what="kinds of values",
        deliveries=[in_json(spans), in_protobuf(others)],
        records=[
            run(place + more, workflow="planner", trigger=text)
            for more in (0, 10)
            for place, text in enumerate(told, 1)
        ],
        fields={"trigger": Rule(field="attributes.some.value")},
    )


def oddities() -> Truth:
    """What JSON of protobuf allows and OTLP does not, and a clock that was set back while a span went on."""
    named = ["UNSET", "OK", "ERROR", "PONDERING"]
    nameless = span(5, gen_ai__operation__name="invoke_agent")
    nothing = {"key": "gen_ai.agent.name", "value": {"stringValue": None}}
    null = {**nameless, "attributes": [*nameless["attributes"], nothing]}
    back = {**agent(6, 1), "startTimeUnixNano": nanoseconds(at(9))}
    return Truth(
        what="oddities",
        deliveries=[
            in_json(
                [{**agent(place), "status": {"code": f"STATUS_CODE_{word}"}} for place, word in enumerate(named, 1)]
            ),
            in_json([null, {**agent(7), "status": {"code": None}}, back]),
            in_protobuf([{**agent(8, 1), "startTimeUnixNano": nanoseconds(at(9))}]),
        ],
        records=[
            run(1, workflow="planner"),
            run(2, workflow="planner"),
            run(3, workflow="planner", status="failed", exception="application"),
            run(5, workflow="helper"),
            run(6, workflow="planner", started_at=None),
            run(7, workflow="planner"),
            run(8, workflow="planner", started_at=None),
        ],
        left_out=[
            "status: 'STATUS_CODE_PONDERING' is none of 0, 1, 2, STATUS_CODE_UNSET, STATUS_CODE_OK, STATUS_CODE_ERROR"
        ],
    )


def refusals() -> Truth:
    odd = [
        *(("traceId", "0" * 32), ("spanId", "0" * 16), ("traceId", "abc"), ("spanId", "abcd")),
        *(("startTimeUnixNano", "0"), ("endTimeUnixNano", "x"), ("attributes", 7), ("status", 1)),
        *(
            ("endTimeUnixNano", "9" * 30),
            ("endTimeUnixNano", "7258118400000000000"),
            ("startTimeUnixNano", float("inf")),
        ),
        *(("startTimeUnixNano", "-1"), ("endTimeUnixNano", None), ("traceId", "W47/95gDgQPSabYzgTz8YA==")),
        ("attributes", [{"key": "x", "value": {"boolValue": "false"}}]),
    ]
    nameless: list[Any] = [{**agent(place), name: value} for place, (name, value) in enumerate(odd, 1)]
    unsound = "item: a span without its ids, or without its times"
    return Truth(
        what="refusals",
        deliveries=[
            in_json([*nameless, 1, {**agent(30), "parentSpanId": "0" * 16}]),
            Delivery({"content-type": JSON}, b"{", AT),
            Delivery({"content-type": JSON}, b"[]", AT),
            Delivery({"content-type": JSON}, b'{"resourceSpans": [1]}', AT),
            Delivery({"content-type": PROTOBUF}, b"\x0a\xff", AT),
            Delivery({"content-type": "text/plain"}, b"", AT),
            Delivery({"content-type": JSON}, b"{}", AT),
            Delivery({"content-type": JSON}, b'{"resource_spans": []}', AT),
            in_protobuf([{**agent(21), "spanId": ""}, {**agent(22), "endTimeUnixNano": "0"}]),
        ],
        records=[run(30, workflow="planner")],
        left_out=[
            *[unsound] * (len(nameless) + 3),
            "400 not_readable: the body has no resourceSpans; send traces, with names in lowerCamelCase",
            *["400 not_readable: the body is not an ExportTraceServiceRequest in JSON"] * 3,
            "400 not_readable: the body is not an ExportTraceServiceRequest",
            "415 wrong_type: send application/x-protobuf or application/json",
        ],
    )
