"""OTLP: a span of an AI agent, or of a CI/CD pipeline, is a run.

API      OTLP/HTTP, POST to /otlp/NAME/v1/traces of the exporter itself, in protobuf or JSON, also packed with gzip. 200
         once the spans are stored; 503 with Retry-After if they should be sent again. Spans without ids or times are
         counted, and named in the answer (partial_success). Spans by the conventions of OpenTelemetry 1.44 (CI/CD) and
         for generative AI 1.41.
Access   Create a secret with `openssl rand -hex 32` and name its file in secret_file. Senders need the endpoint
         https://HOST/otlp/NAME and the header Authorization=Bearer SECRET: in an OpenTelemetry Collector an otlphttp
         exporter, in an SDK OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_HEADERS. Send all spans of a trace, or
         at least those of agents with what is between them.
Polls    Nothing: senders push. Once a minute the source is marked as listening. Its values are complete from the time
         when it was first configured.
Cursor   Empty. How spans are nested is remembered in the store for a day.
Blind    Runs that have not ended: a span comes when it ends. Traces that sampling leaves out: values are of the others.
         An agent inside another is counted by itself until the outer one has ended, or if a span between them never
         comes, or comes more than a day later. Decisions of people, unless an attribute says them (fields). Prompts,
         answers, arguments of tools, names of users and texts of errors are dropped when they arrive, and cannot be
         mapped. What was sent under another name of the source: records of a source that is not in the config do not
         count.
Checked  The OpenTelemetry SDK for Python 1.45, which sends protobuf; JSON by a recording of the SDK for JavaScript 2.12
         (the SDK for Python has no sender of JSON).
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass

from exporter.collect.contract import Cursor, Page
from exporter.collect.delivery import Delivery, Event, Link, Received, broken
from exporter.collect.http import Client
from exporter.collect.mapping import Which
from exporter.connectors.otlp.mapping import instant, is_agent, known, operation, reads_of
from exporter.connectors.otlp.span import NoSpan, Span, answer, spans_of
from exporter.records import Change, Read, Run

RECORDS = (Run, Change)
AUTH = None
NOUN = "span"
ROUTE = "/otlp/{source}/v1/traces"
MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the conventions do not say."""

    conversation_is_one: bool = False
    business: Which | None = None
    deployments: Which | None = None


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:  # noqa: ARG001 - the contract
    """Nothing: it is pushed."""
    return
    yield


def receive(delivery: Delivery, options: Options) -> Received:  # noqa: ARG001 - the contract
    """The spans in a delivery. Raises Refused."""
    rejected, spans = list[None](), spans_of(delivery)

    def events() -> Iterator[Event]:
        for each in spans:
            if isinstance(each, NoSpan):
                rejected.append(None)
                yield broken(each.given, delivery.at, each.why)
            else:
                yield _event(each, delivery)

    return Received(events(), 200, lambda: answer(delivery, len(rejected)))


def read_event(options: Options, event: Event) -> Iterable[Read] | None:
    """What a span is; None where it is of a kind that is not known."""
    span: Span = event.item
    if not known(span):
        return None
    return reads_of(span, event.at, options.deployments, options.business, options.conversation_is_one)


def _event(span: Span, delivery: Delivery) -> Event:
    """A span as an event. It needs no key: the same span makes the same record."""
    link = Link(span.trace, span.id, span.parent, inner=is_agent(span))
    return Event("", operation(span) or "span", min(instant(span.ended), delivery.at), span, link)
