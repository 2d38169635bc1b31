"""What a span is: a run of an agent or of a pipeline, a deployment, or nothing that is counted."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from exporter.collect.mapping import Which
from exporter.connectors.otlp.span import Span
from exporter.records import Change, ChangeResult, ExceptionKind, Part, Read, Run, RunStatus
from exporter.records.unreadable import Words, value

RUNS: dict[str, tuple[str, str]] = {
    "invoke_agent": ("gen_ai.agent.name", "gen_ai.agent.id"),
    "invoke_workflow": ("gen_ai.workflow.name", "gen_ai.agent.name"),
}
"""Operation that is a run -> the attributes that name its workflow, the first that is there."""
STEPS = frozenset(
    ("chat", "create_agent", "embeddings", "execute_tool", "generate_content", "retrieval", "text_completion")
)
"""Operations that are steps of runs."""


class End(NamedTuple):
    """The result of a pipeline, as that of a run and of a deployment."""

    status: RunStatus
    exception: ExceptionKind | None
    change: ChangeResult


RESULT = Words(
    "status",
    {
        "success": End("succeeded", "none", "succeeded"),
        "failure": End("failed", None, "failed"),
        "error": End("failed", "application", "failed"),
        "timeout": End("failed", None, "failed"),
        "cancellation": End("cancelled", None, "cancelled"),
    },
)
SKIPPED = "skip"
CODE: Words[bool] = Words(
    "status",
    {
        "0": False,
        "1": False,
        "2": True,
        "STATUS_CODE_UNSET": False,
        "STATUS_CODE_OK": False,
        "STATUS_CODE_ERROR": True,
    },
)
"""Code of a span's status -> whether it failed. The names are what JSON of protobuf has, though not that of OTLP."""


def operation(span: Span) -> str:
    """What a span is by the conventions for generative AI; empty where it is none of those."""
    return str(span.get("gen_ai.operation.name") or "")


def known(span: Span) -> bool:
    """Whether a span is of a kind that is known, and be it one that is not counted."""
    found = operation(span)
    return not found or found in RUNS or found in STEPS


def is_agent(span: Span) -> bool:
    """Whether it is a run that another one may be around."""
    return operation(span) in RUNS


def run_of_agent(span: Span, at: datetime, business: Which | None, conversation: bool) -> Read:
    """The run of an agent, or of a workflow of agents. Errors of tools inside a run that ended well are not its own."""
    names = (*RUNS[operation(span)], "service.name")
    failed = value("status", CODE.__getitem__, str(span.code))
    status: RunStatus = "failed" if failed else "succeeded"
    exception: ExceptionKind = "none" if not failed else "application"
    if failed and business and business.holds(span.item):
        exception = "business"
    run = Run(
        id=f"{span.trace}-{span.id}",
        root_id=(conversation and span.get("gen_ai.conversation.id")) or span.trace,
        workflow=next((found for name in names if (found := span.get(name)) is not None), None),
        started_at=begin(span),
        finished_at=instant(span.ended),
        status=status,
        exception=exception,
    )
    return Read(run, span.item, part=Part(at, span=(span.trace, span.id)))


def run_of_pipeline(span: Span, at: datetime) -> Read:
    """The run of a pipeline. One that is skipped is none."""
    end = value("status", RESULT.__getitem__, span.get("cicd.pipeline.result"))
    run = Run(
        id=pipeline_run(span),
        workflow=span.get("cicd.pipeline.name"),
        reference=span.get("cicd.pipeline.run.id"),
        url=span.get("cicd.pipeline.run.url.full"),
        started_at=begin(span),
        finished_at=instant(span.ended),
        status=end.status if end else None,
        exception=end.exception if end else None,
    )
    return Read(run, span.item, part=Part(at, span=(span.trace, span.id)))


def deployment(span: Span, result: Any, at: datetime) -> Read:
    """A pipeline, or a task of one, that deploys."""
    end = value("result", RESULT.__getitem__, result)
    change = Change(
        id=f"{span.trace}-{span.id}",
        reference=span.get("cicd.pipeline.run.id"),
        url=span.get("cicd.pipeline.task.run.url.full") or span.get("cicd.pipeline.run.url.full"),
        deployed_at=instant(span.ended),
        result=end.change if end else None,
        service=span.get("deployment.name") or span.get("cicd.pipeline.name"),
        environment=span.get("deployment.environment.name"),
        kind="deployment",
        automated=True,
    )
    return Read(change, span.item, part=Part(at))


def pipeline_run(span: Span) -> str:
    """What identifies a run: its id is unique within its pipeline."""
    run = span.get("cicd.pipeline.run.id")
    return f"{span.trace}-{span.id}" if run is None else f"{span.get('cicd.pipeline.name') or ''}#{run}"


def begin(span: Span) -> datetime | None:
    """When it began; unknown where that is after its end, as a clock that is set back makes it."""
    return instant(span.begun) if span.begun <= span.ended else None


def instant(nanoseconds: int) -> datetime:
    """A time, to the microsecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)


def reads_of(
    span: Span, at: datetime, deployments: Which | None, business: Which | None, conversation: bool
) -> Iterable[Read]:
    """What a span is."""
    if is_agent(span):
        yield run_of_agent(span, at, business, conversation)
    result = span.get("cicd.pipeline.result")
    if result is not None and result != SKIPPED:
        yield run_of_pipeline(span, at)
    result = span.get("cicd.pipeline.task.run.result") if result is None else result
    if result is not None and result != SKIPPED and deployments and deployments.holds(span.item):
        yield deployment(span, result, at)
