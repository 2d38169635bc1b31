"""What CloudEvents are: CDEvents and records of ours, as senders push them, and the records that they must become."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from exporter.collect.delivery import Delivery
from exporter.records import Booking, Change, Incident, Record, Request, Run
from exporter.records.columns import Rule
from tests.connectors.truth import Truth, hashed
from tests.connectors.world import AT

ENUMS = "the schemas of CDEvents are a file per event; tests/connectors/events/test_events.py goes through them"
TECHNICAL = set[str]()

CI, CD, DESK = "/ci/jenkins", "/cd/argocd", "/desk"
STRUCTURED, BATCH = "application/cloudevents+json; charset=UTF-8", "Application/CloudEvents-Batch+json"
NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
PURL = "pkg:oci/checkout@sha256%3A0b31"
IN_PROD = f"{PURL} in prod"


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def cdevent(type_: str, minute: int, subject: str, source: str = CI, **content: Any) -> dict[str, Any]:
    """A CDEvent of 0.5. What begins with `_` goes into its context."""
    context = {name[1:]: content.pop(name) for name in list(content) if name.startswith("_")}
    return {
        "context": {
            "specversion": "0.5.1",
            "id": f"{type_} {subject} {minute}",
            "source": source,
            "type": f"dev.cdevents.{type_}.0.3.0",
            "timestamp": at(minute).isoformat(),
            **context,
        },
        "subject": {"id": subject, "content": content},
    }


def cloudevent(data: Any, **attributes: Any) -> dict[str, Any]:
    """Any data as a CloudEvent in structured mode."""
    context = data["context"] if isinstance(data, dict) and "context" in data else {}
    said = {name: context[name] for name in ("id", "source", "type") if name in context}
    return {"specversion": "1.0", "id": "1", "source": CI, **said, **attributes, "data": data}


def ours(record: str, minute: int | None, **columns: Any) -> dict[str, Any]:
    time = {} if minute is None else {"time": at(minute).isoformat()}
    return cloudevent(columns, type=f"outcome.{record}", id=f"{record} {minute} {columns}", **time)


def delivery(body: Any, content_type: str = STRUCTURED, *, signed: bool = True, **headers: str) -> Delivery:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Delivery({"content-type": content_type, **named}, raw, AT, headers_signed=signed)


def truth(
    what: str, events: Sequence[Mapping[str, Any]], records: Sequence[Record], *more: Delivery, **others: Any
) -> Truth:
    """CDEvents, one delivery each."""
    return Truth(
        what=what, deliveries=[*(delivery(cloudevent(each)) for each in events), *more], records=records, **others
    )


def truths(_: object) -> Iterator[Truth]:
    yield runs()
    yield moments()
    yield ends_of_runs()
    yield deployments()
    yield from changes()
    yield incidents()
    yield tickets()
    yield own_records()
    yield modes()
    yield refusals()
    yield nothing_to_read()


def runs() -> Truth:
    """One that waits, one that runs, one that has begun again, one whose beginning comes after its end."""
    about: dict[str, Any] = {"pipelineName": "build", "uri": "https://ci.test/build"}
    more: dict[str, Any] = {"workflow": "build", "url": "https://ci.test/build"}
    return truth(
        "runs of pipelines",
        [
            cdevent("pipelinerun.queued", 1, "1"),
            cdevent("pipelinerun.queued", 1, "2", **about),
            cdevent("pipelinerun.started", 3, "2", **about),
            cdevent("pipelinerun.queued", 2, "2", **about),
            cdevent("pipelinerun.started", 1, "3", **about),
            cdevent("pipelinerun.finished", 2, "3", outcome="error"),
            cdevent("pipelinerun.started", 5, "3"),
            cdevent("pipelinerun.finished", 9, "4", outcome="success"),
            cdevent("pipelinerun.started", 4, "4", **about),
            cdevent("pipelinerun.queued", 3, "4"),
        ],
        [
            Run(id=f"{CI}#1", reference="1", queued_at=at(1), status="waiting", updated_at=at(1)),
            Run(id=f"{CI}#2", reference="2", queued_at=at(1), started_at=at(3), status="running", updated_at=at(3),
                **more),
            Run(id=f"{CI}#3", reference="3", started_at=at(1), status="running", updated_at=at(5), **more),
            Run(id=f"{CI}#4", reference="4", queued_at=at(3), started_at=at(4), finished_at=at(9), status="succeeded",
                exception="none", updated_at=at(9), **more),
        ],
    )  # fmt: skip


def moments() -> Truth:
    """Of two events in one moment the later one in the life of its subject counts, whichever comes first."""
    ticket: dict[str, Any] = {"uri": "https://desk.test/1", "resolution": "completed", "creator": "Ada"}
    about: dict[str, Any] = {"environment": {"id": "prod"}}
    done: dict[str, Any] = {"queued_at": at(1), "started_at": at(1), "finished_at": at(1), "updated_at": at(1)}
    more: dict[str, Any] = {"kind": "ticket", "url": "https://desk.test/1", "requester": hashed("Ada")}
    closed: dict[str, Any] = {"opened_at": at(1), "resolved_at": at(1), "closed_at": at(1), "updated_at": at(1)}
    steps: list[tuple[str, dict[str, Any]]] = [
        *((f"pipelinerun.{word}", {"outcome": "error"}) for word in ("queued", "started", "finished")),
        *((f"incident.{word}", about) for word in ("detected", "resolved")),
        *((f"ticket.{word}", ticket | {"priority": word}) for word in ("created", "updated", "closed")),
    ]
    deployed = [
        cdevent(f"service.{word}", 1, "checkout", _chainId="c1", **about) for word in ("deployed", "rolledback")
    ]
    ways = {"forth": steps, "back": steps[::-1]}
    ends: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
        ("run", "finished_at", {"status": "running"}, {"status": "failed"}),
        ("request", "resolved_at", {"outcome": "open"}, {"outcome": "resolved"}),
        ("request", "abandoned_at", {"outcome": "open"}, {"outcome": "abandoned"}),
        ("request", "closed_at", {"outcome": "open"}, {"outcome": "discarded"}),
    ]
    own = [
        ours(kind, 1, id=f"{end}", **columns)
        for kind, end, begun, ended in ends
        for columns in ({**ended, end: at(1).isoformat()}, begun)
    ]
    ours_made = [
        *(
            Request(id=end, updated_at=at(1), **{**ended, end: at(1)})
            for kind, end, _, ended in ends
            if kind == "request"
        ),
        Run(id="finished_at", status="failed", finished_at=at(1), updated_at=at(1)),
    ]
    return truth(
        "moments",
        [*(cdevent(word, 1, name, **content) for name, way in ways.items() for word, content in way), *deployed[::-1]],
        [
            *(Run(id=f"{CI}#{name}", reference=name, status="failed", exception="application", **done)
              for name in ways),
            *(Incident(id=f"{CI}#{name}", reference=name, detected_at=at(1), resolved_at=at(1), updated_at=at(1))
              for name in ways),
            *(Request(id=f"{CI}#{name}", reference=name, priority="closed", outcome="resolved", **more, **closed)
              for name in ways),
            Change(id=f"c1 {CI}#checkout prod", result="rolled_back", deployed_at=at(1), service="checkout",
                   environment="prod", kind="deployment", updated_at=at(1)),
            *ours_made,
        ],
        *(delivery(each) for each in own),
    )  # fmt: skip


def ends_of_runs() -> Truth:
    ends: dict[str, dict[str, Any]] = {
        "success": {"status": "succeeded", "exception": "none"},
        "failure": {"status": "failed"},
        "error": {"status": "failed", "exception": "application"},
        "cancel": {"status": "cancelled"},
    }
    failed = {**cdevent("pipelinerun.finished", 2, "again", outcome="failure"), "customData": {"team": "payments"}}
    return truth(
        "ends of runs",
        [
            *(cdevent("pipelinerun.finished", 1, word, outcome=word) for word in ends),
            cdevent("pipelinerun.finished", 1, "odd", outcome="pondering"),
            cdevent("pipelinerun.finished", 1, "again", outcome="error"),
            failed,
        ],
        [
            *(Run(id=f"{CI}#{word}", reference=word, finished_at=at(1), updated_at=at(1), **end)
              for word, end in ends.items()),
            Run(id=f"{CI}#again", reference="again", finished_at=at(2), updated_at=at(2), status="failed",
                trigger="payments"),
        ],
        fields={"trigger": Rule(field="customData.team")},
        left_out=["status: 'pondering' is none of success, failure, error, cancel"],
    )  # fmt: skip


def deployments() -> Truth:
    """By a chain a rollback is of the deployment that it reverts; each deployment without one is by itself."""
    about: dict[str, Any] = {"environment": {"id": "prod", "source": "/cluster"}, "artifactId": PURL}
    more: dict[str, Any] = {"service": "checkout", "environment": "prod", "kind": "deployment", "reference": IN_PROD}
    return truth(
        "deployments",
        [
            cdevent("service.deployed", 1, "checkout", CD, **about),
            cdevent("service.upgraded", 2, "checkout", CD, **about),
            cdevent("service.rolledback", 3, "checkout", CD, **{**about, "artifactId": "pkg:oci/checkout@old"}),
            cdevent("service.rolledback", 9, "checkout", CD, _chainId="c1", **{**about, "artifactId": "old"}),
            cdevent("service.deployed", 4, "checkout", CD, _chainId="c1", **about),
            cdevent("service.deployed", 5, "checkout", CD, _chainId="c1", environment={"id": "test"}),
        ],
        [
            Change(id=f"{CD}#service.deployed checkout 1", deployed_at=at(1), result="succeeded", updated_at=at(1),
                   **more),
            Change(id=f"{CD}#service.upgraded checkout 2", deployed_at=at(2), result="succeeded", updated_at=at(2),
                   **more),
            Change(id=f"{CD}#service.rolledback checkout 3", deployed_at=at(3), result="rolled_back", updated_at=at(3),
                   **{**more, "reference": "pkg:oci/checkout@old in prod"}),
            Change(id=f"c1 {CD}#checkout prod", deployed_at=at(4), result="rolled_back", updated_at=at(9), **more),
            Change(id=f"c1 {CD}#checkout test", deployed_at=at(5), result="succeeded", updated_at=at(5),
                   **{**more, "environment": "test", "reference": None}),
        ],
    )  # fmt: skip


def changes() -> Iterator[Truth]:
    events = [
        cdevent("change.created", 1, "7"),
        cdevent("change.reviewed", 2, "7"),
        cdevent("change.reviewed", 3, "7"),
        cdevent("change.merged", 4, "7"),
        cdevent("change.merged", 5, "7"),
        cdevent("change.created", 2, "7"),
        cdevent("change.created", 1, "8"),
        cdevent("change.abandoned", 2, "8"),
    ]
    abandoned = Change(id=f"{CI}#8", reference="8", requested_at=at(1), result="cancelled", updated_at=at(2))
    merged = Change(id=f"{CI}#7", reference="7", requested_at=at(1), approved_at=at(4), updated_at=at(5))
    reviewed = Change(id=f"{CI}#7", reference="7", requested_at=at(1), approved_at=at(2), updated_at=at(3))
    yield truth("changes by merge", events, [merged, abandoned])
    yield truth("changes by review", events, [reviewed, abandoned], options={"approved_by": "reviewed"})


def incidents() -> Truth:
    about: dict[str, Any] = {"environment": {"id": "prod"}, "service": {"id": "checkout"}, "artifactId": PURL}
    more: dict[str, Any] = {"service": "checkout", "caused_by": IN_PROD, "updated_at": at(3)}
    ticket = "https://desk.test/1"
    bare: dict[str, Any] = {"environment": {"id": "prod"}}
    return truth(
        "incidents",
        [
            cdevent("incident.detected", 1, "1", **about),
            cdevent("incident.reported", 2, "1", ticketURI=ticket, **bare),
            cdevent("incident.resolved", 3, "1", **bare),
            cdevent("incident.detected", 1, "2", **about),
            cdevent("incident.resolved", 2, "2", **bare),
            cdevent("incident.detected", 3, "2", **about),
            cdevent("incident.resolved", 3, "3", **bare),
            cdevent("incident.detected", 2, "3", **about),
            cdevent("incident.detected", 1, "3", **about),
            cdevent("incident.reported", 2, "4", ticketURI=ticket),
            cdevent("incident.reported", 1, "4", ticketURI=ticket),
        ],
        [
            Incident(id=f"{CI}#1", reference="1", detected_at=at(1), opened_at=at(2), resolved_at=at(3), url=ticket,
                     **more),
            Incident(id=f"{CI}#2", reference="2", detected_at=at(1), **more),
            Incident(id=f"{CI}#3", reference="3", detected_at=at(1), resolved_at=at(3), **more),
            Incident(id=f"{CI}#4", reference="4", opened_at=at(1), url=ticket, updated_at=at(2)),
        ],
    )  # fmt: skip


def tickets() -> Truth:
    about: dict[str, Any] = {"uri": "https://desk.test/1", "ticketType": "incident", "priority": "low"}
    more: dict[str, Any] = {"kind": "ticket", "url": "https://desk.test/1", "request_type": "incident"}
    opened: dict[str, Any] = {"opened_at": at(1), "requester": hashed("Ada"), **more}

    def event(word: str, minute: int, name: str, **content: Any) -> dict[str, Any]:
        return cdevent(f"ticket.{word}", minute, name, DESK, **{**about, **content})

    def closed(minute: int, name: str, resolution: str) -> dict[str, Any]:
        return event("closed", minute, name, resolution=resolution)

    def ticket(name: str, minute: int, **columns: Any) -> Request:
        values: dict[str, Any] = {"priority": "low", **opened, **columns}
        return Request(id=f"{DESK}#{name}", reference=name, updated_at=at(minute), **values)

    return truth(
        "tickets",
        [
            *(event("created", 1, name, creator="Ada") for name in "abcdefgj"),
            event("created", 2, "a", creator="Ada"),
            event("updated", 3, "a", priority="high"),
            event("updated", 2, "a", priority="medium"),
            closed(3, "b", "Completed "),
            closed(3, "c", "withdrawn"),
            closed(3, "d", "duplicate"),
            closed(3, "e", "wontfix"),
            closed(3, "f", "pondering"),
            closed(3, "g", "completed"),
            event("created", 4, "g", creator="Ada"),
            closed(3, "j", "withdrawn"),
            event("created", 4, "j", creator="Ada"),
            closed(2, "h", "withdrawn"),
            closed(3, "h", "completed"),
            closed(2, "i", "completed"),
            closed(3, "i", "withdrawn"),
        ],
        [
            ticket("a", 3, priority="high", outcome="open"),
            ticket("b", 3, closed_at=at(3), resolved_at=at(3), outcome="resolved"),
            ticket("c", 3, closed_at=at(3), abandoned_at=at(3), outcome="abandoned"),
            ticket("d", 3, closed_at=at(3), outcome="discarded"),
            ticket("e", 3, closed_at=at(3), outcome="discarded"),
            ticket("f", 1, outcome="open"),
            ticket("g", 4, outcome="open"),
            ticket("j", 4, outcome="open"),
            ticket("h", 3, opened_at=None, requester=None, closed_at=at(3), resolved_at=at(3), outcome="resolved"),
            ticket("i", 3, opened_at=None, requester=None, closed_at=at(3), abandoned_at=at(3), outcome="abandoned"),
        ],
        options={"resolutions": {"wontfix": "discarded"}},
        left_out=["outcome: 'pondering' is none of completed, withdrawn, duplicate, wontfix"],
    )  # fmt: skip


def own_records() -> Truth:
    """Columns come in parts, and late; null takes a value back; without a time an event is of when it came."""
    events = [
        ours("run", 1, id="r1", workflow="sync", status="running", started_at=at(1).isoformat(), custom={"squad": "a"}),
        ours("run", 5, id="r1", status="succeeded", human_override=True, finished_at=at(5).isoformat()),
        ours("run", 3, id="r1", status="waiting", owner="ada", human_override=False),
        ours("run", 6, id="r1", owner=None, url=None),
        ours("booking", 9, id="b1", outcome="attended", updated_at=at(2).isoformat()),
        ours("booking", 4, id="b1", outcome="no_show", finishd_at="x", value="12,5"),
        ours("booking", None, id="b2", starts_at="2026-03-30 10:00"),
        ours("booking", None, id="b3", starts_at=(AT + timedelta(days=9)).isoformat()),
        ours("request", 1, outcome="open"),
        cloudevent([1], type="outcome.request"),
        ours("unheard", 1, id="x"),
    ]
    return Truth(
        what="records of ours",
        deliveries=[delivery(each) for each in events],
        records=[
            Run(id="r1", workflow="sync", status="succeeded", started_at=at(1), finished_at=at(5), human_override=True,
                trigger="a", updated_at=at(6)),
            Booking(id="b1", outcome="no_show", updated_at=at(4)),
            Booking(id="b3", starts_at=AT + timedelta(days=9), updated_at=AT),
        ],
        fields={"trigger": Rule(field="custom.squad")},
        left_out=[
            "id: there is no id",
            "item: 'finishd_at' is no column of this record",
            "item: the event's data is not an object with columns",
            "starts_at: '2026-03-30 10:00' has no time zone; set time_zone, such as Europe/Berlin",
            "value: '12,5' is not a number; set decimal: \",\" (12.5)",
            "unused: outcome.unheard",
        ],
    )  # fmt: skip


def modes() -> Truth:
    """The three of CloudEvents, those of both versions of CDEvents, and what is in binary mode under a signature."""
    event = cdevent("pipelinerun.started", 1, "binary", pipelineName="Ünï")
    older = cdevent("pipelinerun.started", 1, "older")
    older["context"]["version"] = older["context"].pop("specversion").replace("0.5.1", "0.4.1")
    older["subject"]["type"] = "pipelineRun"
    older["context"]["type"] = "dev.cdevents.pipelinerun.started.0.2.0"
    other = cdevent("pipelinerun.started", 1, "other")
    other["subject"]["source"] = "/ci/other"
    draft = cdevent("pipelinerun.started", 1, "draft")
    draft["context"]["type"] = "dev.cdevents.pipelinerun.started.0.4.0-draft"
    head: dict[str, Any] = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": '"/ci"'}
    ahead = cdevent("pipelinerun.started", 999_999, "ahead")
    running: dict[str, Any] = {"started_at": at(1), "status": "running"}
    return Truth(
        what="modes",
        deliveries=[
            delivery(event, "application/json; charset=utf-8", ce_type="dev.cdevents.a.b.0.3.0", **head),
            delivery(other, "application/json", signed=False, ce_type="dev.cdevents.x.y.0.3.0", **head),
            delivery([cloudevent(older), cloudevent(draft), cloudevent(ahead)], BATCH),
            delivery({"id": "t", "team": "a"}, "text/json", ce_type="outcome.run", ce_time=at(2).isoformat(), **head),
            delivery({**cloudevent({"id": "c"}, type="outcome.run"), "datacontenttype": "application/vnd.x+JSON"}),
            delivery([], BATCH),
            delivery({**cloudevent(None, type="outcome.run", time="2026-03-30t10:05:00z"),
                      "data_base64": "eyJpZCI6ICJiIn0="}),
        ],
        records=[
            Run(id=f"{CI}#binary", reference="binary", workflow="Ünï", updated_at=at(1), **running),
            Run(id=f"{CI}#older", reference="older", updated_at=at(1), **running),
            Run(id=f"{CI}#draft", reference="draft", updated_at=at(1), **running),
            Run(id="/ci/other#other", reference="other", updated_at=at(1), **running),
            Run(id=f"{CI}#ahead", reference="ahead", updated_at=AT, **{**running, "started_at": at(999_999)}),
            Run(id="t", team="a", updated_at=at(2)),
            Run(id="c", updated_at=AT),
            Run(id="b", updated_at=datetime(2026, 3, 30, 10, 5, tzinfo=UTC)),
        ],
    )  # fmt: skip


def refusals() -> Truth:
    """What is no event, and says so."""
    good = cloudevent({"id": "1"}, type="outcome.run")
    head: dict[str, Any] = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/ci", "ce_type": "outcome.run"}
    lacking = [
        delivery({name: value for name, value in good.items() if name != each}) for each in good if each != "data"
    ]
    return Truth(
        what="refusals",
        deliveries=[
            delivery(b"{", STRUCTURED),
            delivery([], STRUCTURED),
            delivery({}, BATCH),
            delivery([1], BATCH),
            *lacking,
            delivery({**good, "id": ""}),
            delivery({**good, "specversion": "0.3"}),
            delivery({**good, "time": "2026-03-30T10:00:00"}),
            delivery({"id": "1"}, "application/json"),
            delivery(good, "application/cloudevents+avro", **head),
            delivery({"id": "1"}, "application/json", signed=False, **head),
            delivery({"id": "1"}, "application/json", **{**head, "ce_subject": "%C0%A0"}),
            delivery({**good, "data_base64": "e30="}),
            delivery({**good, "data_base64": "{}"}),
            delivery(good),
            delivery([{**good, "id": ""}, {**good, "id": "2", "data": {"id": "2"}}, 1], BATCH),
        ],
        records=[Run(id="1", updated_at=AT), Run(id="2", updated_at=AT)],
        left_out=[
            "400 not_readable: the body is not JSON",
            "400 not_readable: an event is a JSON object",
            "400 not_readable: a batch is a JSON list of events",
            "400 not_readable: an event is a JSON object",
            *(f"400 not_readable: the event has no {name}" for name in ("specversion", "id", "source", "type", "id")),
            "400 not_readable: the specversion is not 1.0",
            "400 not_readable: the event's time is not one with an offset",
            *["415 wrong_type: send CloudEvents: application/cloudevents+json, application/cloudevents-batch+json,"
              " or with the headers ce-specversion, ce-id, ce-source, ce-type"] * 2,
            "400 not_signed: the signature does not cover the headers with the event's type and id:"
            " send it in structured mode",
            "400 not_readable: the value of a header is not UTF-8, percent-encoded",
            "400 not_readable: the event's data_base64 is not JSON in base64",
            "id: there is no id",
            "item: the event has no id",
            "item: an event is a JSON object",
        ],
    )  # fmt: skip


def nothing_to_read() -> Truth:
    """Types that no record is made of, and CDEvents that lack what they must have."""
    timeless = cdevent("pipelinerun.started", 1, "2")
    timeless["context"]["timestamp"] = "2026-03-30T10:00:00"
    return truth(
        "what is no record",
        [
            cdevent("artifact.signed", 1, "1"),
            {
                **cdevent("x", 1, "1"),
                "context": {**cdevent("x", 1, "1")["context"], "type": "dev.cdeventsx.a-b.c.0.1.0"},
            },
            {"context": cdevent("pipelinerun.started", 1, "1")["context"]},
            timeless,
            cdevent("pipelinerun.started", 1, "3"),
        ],
        [Run(id=f"{CI}#3", reference="3", started_at=at(1), status="running", updated_at=at(1))],
        delivery(cloudevent("text", type="dev.cdevents.pipelinerun.started.0.3.0")),
        delivery({**cloudevent({"id": "1"}, type="outcome.run"), "datacontenttype": "text/plain"}),
        left_out=[
            "unused: dev.cdevents.artifact.signed.0.3.0",
            "unused: dev.cdeventsx.a-b.c.0.1.0",
            "item: 'subject' is missing",
            "item: '2026-03-30T10:00:00' has no time zone",
            "item: has another shape than expected",
            "item: the event's data is not an object with columns",
        ],
    )
