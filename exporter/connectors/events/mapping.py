"""What a CDEvent says of a record: each type of event that is read is a row of TYPES."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from exporter.collect.delivery import Event
from exporter.records import (
    Change,
    ChangeResult,
    ExceptionKind,
    Incident,
    Part,
    Read,
    Record,
    Request,
    RequestOutcome,
    Run,
    RunStatus,
    instant,
)
from exporter.records.unreadable import Unreadable, Words, value

TYPE = re.compile(r"dev\.cdevents\.([a-z]+\.[a-z]+)\.\d+\.\d+\.\d+(-draft)?")
OUTCOME: Words[tuple[RunStatus, ExceptionKind | None]] = Words(
    "status",
    {
        "success": ("succeeded", "none"),
        "failure": ("failed", None),  # the pipeline's fault, or that of what it was to build
        "error": ("failed", "application"),
        "cancel": ("cancelled", None),
    },
)
RESOLUTION: dict[str, RequestOutcome] = {"completed": "resolved", "withdrawn": "abandoned", "duplicate": "discarded"}
ENDED_AT: dict[RequestOutcome, Literal["resolved_at", "abandoned_at"]] = {
    "resolved": "resolved_at",
    "abandoned": "abandoned_at",
}


@dataclass(frozen=True, slots=True)
class Said:
    """A CDEvent: when it happened, to what, and what else it says."""

    at: datetime
    told: datetime  # the same, but never to come: what it is compared by with other events
    key: str  # of the event
    chain: str | None
    id: str  # of its subject, unique in its source
    name: str  # of its subject, as people call it
    content: Mapping[str, Any]
    approved_by: str
    resolutions: Mapping[str, RequestOutcome]

    def part(self, *first: str, cleared: Iterable[str] = (), step: int = 0) -> Part:
        """The part that it is. `first`: columns of which the earliest event counts. `step`: what goes before what in
        the life of its subject, where both are of one moment."""
        return Part(self.told, frozenset(cleared), frozenset(first), step=step)


def cdevent(event: Event, approved_by: str, resolutions: Mapping[str, RequestOutcome]) -> list[Read] | None:
    """What an event says of a record; None where its type is none that is read."""
    type_ = TYPE.fullmatch(event.type)
    says = TYPES.get(type_[1]) if type_ else None
    if says is None:
        return None
    context, subject = event.item["context"], event.item["subject"]
    at, name = instant(context["timestamp"]), subject["id"]
    if at is None:
        raise Unreadable("missing", "there is no timestamp")
    said = Said(
        at=at,
        told=event.at,
        key=f"{context['source']}#{context['id']}",
        chain=context.get("chainId"),
        id=f"{subject.get('source') or context['source']}#{name}",
        name=name,
        content=subject["content"],
        approved_by=approved_by,
        resolutions=resolutions,
    )
    return [Read(record, event.item, part=part) for record, part in says(said)]


Says = Iterable[tuple[Record, Part]]


def run_queued(said: Said) -> Says:
    yield _run(said, queued_at=said.at, status="waiting"), said.part("queued_at")


def run_started(said: Said) -> Says:
    """A start after an end is a new attempt of the same run: it goes on."""
    part = said.part("started_at", cleared=("finished_at", "exception"), step=1)
    yield _run(said, started_at=said.at, status="running"), part


def run_finished(said: Said) -> Says:
    status, exception = value("status", OUTCOME.__getitem__, said.content["outcome"]) or (None, None)
    yield _run(said, finished_at=said.at, status=status, exception=exception), said.part(cleared=("exception",), step=2)


def _run(said: Said, **more: Any) -> Run:
    name = said.content.get("pipelineName")
    return Run(id=said.id, reference=said.name, workflow=name, url=said.content.get("uri"), **more)


def change_created(said: Said) -> Says:
    yield Change(id=said.id, reference=said.name, requested_at=said.at), said.part("requested_at")


def change_reviewed(said: Said) -> Says:
    if said.approved_by == "reviewed":
        yield Change(id=said.id, reference=said.name, approved_at=said.at), said.part("approved_at")


def change_merged(said: Said) -> Says:
    if said.approved_by == "merged":
        yield Change(id=said.id, reference=said.name, approved_at=said.at), said.part("approved_at")


def change_abandoned(said: Said) -> Says:
    yield Change(id=said.id, reference=said.name, result="cancelled"), said.part()


def service_deployed(said: Said) -> Says:
    yield _deployment(said, "succeeded", 0)


def service_rolledback(said: Said) -> Says:
    yield _deployment(said, "rolled_back", 1)


def _deployment(said: Said, result: ChangeResult, step: int) -> tuple[Change, Part]:
    """A service is deployed again and again: a deployment is told by what triggered it, or by its event."""
    environment = said.content["environment"]["id"]
    change = Change(
        id=f"{said.chain} {said.id} {environment}" if said.chain else said.key,
        reference=_artifact(said),
        deployed_at=said.at,
        result=result,
        service=said.name,
        environment=environment,
        kind="deployment",
    )
    return change, said.part("deployed_at", "reference", step=step)  # a rollback tells what it went back to


def incident_detected(said: Said) -> Says:
    """What is detected after it was resolved goes on."""
    yield _incident(said, detected_at=said.at), said.part("detected_at", cleared=("resolved_at",))


def incident_reported(said: Said) -> Says:
    incident = _incident(said, opened_at=said.at, url=said.content.get("ticketURI"))
    yield incident, said.part("opened_at")


def incident_resolved(said: Said) -> Says:
    yield _incident(said, resolved_at=said.at), said.part(step=1)


def _incident(said: Said, **times: Any) -> Incident:
    service = said.content.get("service")
    return Incident(
        id=said.id, reference=said.name, service=service["id"] if service else None, caused_by=_artifact(said), **times
    )


def ticket_created(said: Said) -> Says:
    """A ticket created after it was closed is open again."""
    part = said.part("opened_at", cleared=("closed_at", "resolved_at", "abandoned_at"))
    yield _ticket(said, opened_at=said.at, requester=said.content.get("creator"), outcome="open"), part


def ticket_updated(said: Said) -> Says:
    yield _ticket(said), said.part(step=1)


def ticket_closed(said: Said) -> Says:
    outcome = value("outcome", Words("outcome", RESOLUTION | dict(said.resolutions)).__getitem__, _resolution(said))
    end = ENDED_AT.get(outcome) if outcome else None
    ends: dict[str, Any] = {end: said.at} if end else {}
    others = frozenset(ENDED_AT.values()) - ends.keys()
    yield _ticket(said, closed_at=said.at, outcome=outcome, **ends), said.part(cleared=others, step=2)


def _resolution(said: Said) -> str:
    return str(said.content["resolution"]).strip().lower()


def _ticket(said: Said, **more: Any) -> Request:
    content = said.content
    return Request(
        id=said.id,
        reference=said.name,
        url=content.get("uri"),
        kind="ticket",
        request_type=content.get("ticketType"),
        priority=content.get("priority"),
        **more,
    )


def _artifact(said: Said) -> str | None:
    """What links an incident to the deployment of the artifact that it is about."""
    artifact = said.content.get("artifactId")
    return f"{artifact} in {said.content['environment']['id']}" if artifact else None


TYPES: Mapping[str, Callable[[Said], Says]] = {
    "pipelinerun.queued": run_queued,
    "pipelinerun.started": run_started,
    "pipelinerun.finished": run_finished,
    "change.created": change_created,
    "change.reviewed": change_reviewed,
    "change.merged": change_merged,
    "change.abandoned": change_abandoned,
    "service.deployed": service_deployed,
    "service.upgraded": service_deployed,
    "service.rolledback": service_rolledback,
    "incident.detected": incident_detected,
    "incident.reported": incident_reported,
    "incident.resolved": incident_resolved,
    "ticket.created": ticket_created,
    "ticket.updated": ticket_updated,
    "ticket.closed": ticket_closed,
}
"""Subject and predicate of a type -> what it says. Of all others, such as taskrun.finished, no record is made."""
