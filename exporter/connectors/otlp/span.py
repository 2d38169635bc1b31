"""Spans as OTLP/HTTP brings them, in protobuf or JSON. What people and models said to each other ends here.

Contents, persons, events and links of spans are dropped before anything else sees a span.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.collect.decode import decoded
from exporter.collect.delivery import Delivery, Refused
from exporter.records import Json

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
CONTENTS = (
    "gen_ai.evaluation.explanation",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.retrieval.documents",
    "gen_ai.retrieval.query",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.tool.definitions",
    "exception.message",
    "exception.stacktrace",
    "user.",
    "enduser.",
)
"""How the names of attributes begin that are dropped."""
LONGEST = 256  # characters; a longer text is no name of anything
NOTHING = "0"

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """One span. Its ids are hexadecimal; `parent` is empty where it has none. Times are nanoseconds since 1970."""

    trace: str
    id: str
    parent: str
    name: str
    begun: int
    ended: int
    failed: bool
    attributes: Attributes
    resource: Attributes

    def get(self, name: str) -> Any:
        """An attribute of the span, or else of what sent it."""
        found = self.attributes.get(name)
        return self.resource.get(name) if found is None else found

    @property
    def item(self) -> Json:
        """What the config's mapping looks in."""
        return {"name": self.name, "attributes": self.attributes, "resource": self.resource}


def spans_of(delivery: Delivery) -> tuple[list[Span], int]:
    """The spans of a delivery, and how many cannot be read. Raises Refused."""
    if delivery.media_type == PROTOBUF:
        return _listed(_from_protobuf(_request(delivery.body)))
    if delivery.media_type == JSON:
        try:
            document = decoded(delivery.body)
            return _listed(_from_json(document))
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            raise Refused(400, "not_readable", "the body is not an ExportTraceServiceRequest in JSON") from None
    raise Refused(415, "wrong_type", f"send {PROTOBUF} or {JSON}")


def answer(delivery: Delivery, rejected: int) -> tuple[bytes, str]:
    """The ExportTraceServiceResponse, in the encoding of the request, and its Content-Type."""
    text = "spans without ids, or without their times"
    if delivery.media_type == JSON:
        told = f'{{"partialSuccess":{{"rejectedSpans":"{rejected}","errorMessage":"{text}"}}}}' if rejected else "{}"
        return told.encode(), JSON
    if not rejected:
        return b"", PROTOBUF
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service  # noqa: PLC0415 - see `_request`

    partial = service.ExportTracePartialSuccess(rejected_spans=rejected, error_message=text)
    return service.ExportTraceServiceResponse(partial_success=partial).SerializeToString(), PROTOBUF


def _request(body: bytes) -> "ExportTraceServiceRequest":
    # It takes long to load, and most exporters receive no spans. Types of google's are a package of their own.
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # noqa: PLC0415
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: PLC0415

    try:
        request: ExportTraceServiceRequest = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise Refused(400, "not_readable", "the body is not an ExportTraceServiceRequest") from None
    return request


def _listed(found: Iterable[Span | None]) -> tuple[list[Span], int]:
    every = list(found)
    spans = [each for each in every if each and _sound(each)]
    return spans, len(every) - len(spans)


def _sound(span: Span) -> bool:
    """Whether it has its ids and times: an id of zeros is none."""
    ids = len(span.trace) == 32 and len(span.id) == 16 and len(span.parent) in (0, 16)
    return ids and bool(span.trace.strip(NOTHING) and span.id.strip(NOTHING)) and min(span.begun, span.ended) > 0


def _from_protobuf(request: "ExportTraceServiceRequest") -> Iterator[Span]:
    for of_resource in request.resource_spans:
        resource = _kept((each.key, _plain(each.value)) for each in of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for each in of_scope.spans:
                yield Span(
                    trace=each.trace_id.hex(),
                    id=each.span_id.hex(),
                    parent=_parent(each.parent_span_id.hex()),
                    name=each.name,
                    begun=each.start_time_unix_nano,
                    ended=each.end_time_unix_nano,
                    failed=each.status.code == 2,
                    attributes=_kept((one.key, _plain(one.value)) for one in each.attributes),
                    resource=resource,
                )


def _plain(value: Any) -> Any:
    """A value of protobuf; None where it is none, or a structure."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(each) for each in value.array_value.values]
    return getattr(value, kind) if kind in ("string_value", "bool_value", "int_value", "double_value") else None


def _from_json(document: Json) -> Iterator[Span | None]:
    for of_resource in document.get("resourceSpans") or ():
        resource = _attributes_of((of_resource.get("resource") or {}).get("attributes"))
        for of_scope in of_resource.get("scopeSpans") or ():
            for each in of_scope.get("spans") or ():
                yield _span_of(each, resource)


def _span_of(given: Json, resource: Attributes) -> Span | None:
    try:
        return Span(
            trace=_hexadecimal(given["traceId"]),
            id=_hexadecimal(given["spanId"]),
            parent=_parent(_hexadecimal(given.get("parentSpanId") or "")),
            name=str(given.get("name") or ""),
            begun=int(given["startTimeUnixNano"]),
            ended=int(given["endTimeUnixNano"]),
            failed=(given.get("status") or {}).get("code") == 2,
            attributes=_attributes_of(given.get("attributes")),
            resource=resource,
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def _hexadecimal(text: str) -> str:
    return bytes.fromhex(text).hex()


def _parent(id_: str) -> str:
    return id_ if id_.strip(NOTHING) else ""


def _attributes_of(listed: Json) -> Attributes:
    return _kept((each["key"], _value_of(each.get("value") or {})) for each in listed or ())


READERS: Mapping[str, Callable[[Any], Any]] = {
    "stringValue": str,
    "boolValue": bool,
    "intValue": int,
    "doubleValue": float,
    "arrayValue": lambda given: [_value_of(each) for each in given.get("values") or ()],
}


def _value_of(value: Json) -> Any:
    """The same of JSON, where whole numbers are texts."""
    return next((READERS[kind](given) for kind, given in value.items() if kind in READERS), None)


def _kept(pairs: Iterable[tuple[str, Any]]) -> Attributes:
    return {
        name: value
        for name, value in pairs
        if value is not None and not name.startswith(CONTENTS) and not (isinstance(value, str) and len(value) > LONGEST)
    }
