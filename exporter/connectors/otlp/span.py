"""Spans as OTLP/HTTP brings them, in protobuf or JSON. What people and models said to each other ends here.

Contents, persons, events and links of spans are dropped before anything else sees a span.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.collect.decode import decoded
from exporter.collect.delivery import Delivery, Refused
from exporter.records import LATEST, Json
from exporter.records.unreadable import ODD, Unreadable

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
LAST = int(LATEST.timestamp()) * 10**9
"""Nanoseconds since 1970; no span is later."""

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
    code: Any  # of its status: a number, in JSON perhaps a name
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


@dataclass(frozen=True, slots=True)
class NoSpan:
    """What stands in the place of a span, and cannot be read as one."""

    given: bytes
    why: Unreadable


def spans_of(delivery: Delivery) -> Iterator[Span | NoSpan]:
    """The spans of a delivery, one by one. Raises Refused."""
    if delivery.media_type == PROTOBUF:
        return _from_protobuf(_request(delivery.body))
    if delivery.media_type == JSON:
        try:
            document = decoded(delivery.body)
        except (ValueError, RecursionError):
            raise _unlike_json() from None
        if not isinstance(document, dict):
            raise _unlike_json()
        if document and "resourceSpans" not in document:
            raise Refused(
                400, "not_readable", "the body has no resourceSpans; send traces, with names in lowerCamelCase"
            )
        return _from_json(document)
    raise Refused(415, "wrong_type", f"send {PROTOBUF} or {JSON}")


def _unlike_json() -> Refused:
    return Refused(400, "not_readable", "the body is not an ExportTraceServiceRequest in JSON")


UNSOUND = "a span without its ids, or without its times"


def answer(delivery: Delivery, rejected: int) -> tuple[bytes, str]:
    """The ExportTraceServiceResponse, in the encoding of the request, and its Content-Type."""
    text = UNSOUND
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


def _sound(span: Span) -> Span:
    """The same, if it has its ids and times: an id of zeros is none. Raises Unreadable."""
    ids = len(span.trace) == 32 and len(span.id) == 16 and len(span.parent) in (0, 16)
    if not (ids and span.trace.strip(NOTHING) and span.id.strip(NOTHING)):
        raise Unreadable("missing", UNSOUND)
    if not (0 < span.begun < LAST and 0 < span.ended < LAST):
        raise Unreadable("missing", UNSOUND)
    return span


def _from_protobuf(request: "ExportTraceServiceRequest") -> Iterator[Span | NoSpan]:
    for of_resource in request.resource_spans:
        resource = _kept((each.key, _plain(each.value)) for each in of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for each in of_scope.spans:
                try:
                    yield _sound(_of_protobuf(each, resource))
                except Unreadable as why:
                    yield NoSpan(each.SerializeToString(), why)


def _of_protobuf(given: Any, resource: Attributes) -> Span:
    return Span(
        trace=given.trace_id.hex(),
        id=given.span_id.hex(),
        parent=_parent(given.parent_span_id.hex(), given.span_id.hex()),
        name=_name(given.name),
        begun=given.start_time_unix_nano,
        ended=given.end_time_unix_nano,
        code=given.status.code,
        attributes=_kept((each.key, _plain(each.value)) for each in given.attributes),
        resource=resource,
    )


def _plain(value: Any) -> Any:
    """A value of protobuf; None where it is none, or a structure."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(each) for each in value.array_value.values]
    return getattr(value, kind) if kind in ("string_value", "bool_value", "int_value", "double_value") else None


def _from_json(document: Json) -> Iterator[Span | NoSpan]:
    try:
        for of_resource in document.get("resourceSpans") or ():
            resource = _attributes_of((of_resource.get("resource") or {}).get("attributes"))
            for of_scope in of_resource.get("scopeSpans") or ():
                for each in of_scope.get("spans") or ():
                    yield _read_of_json(each, resource)
    except ODD:
        raise _unlike_json() from None


def _read_of_json(given: Json, resource: Attributes) -> Span | NoSpan:
    try:
        return _sound(_of_json(given, resource))
    except ODD:
        return NoSpan(repr(given).encode(), Unreadable("missing", UNSOUND))


def _of_json(given: Json, resource: Attributes) -> Span:
    id_ = _hexadecimal(given["spanId"])
    return Span(
        trace=_hexadecimal(given["traceId"]),
        id=id_,
        parent=_parent(_hexadecimal(given.get("parentSpanId") or ""), id_),
        name=_name(str(given.get("name") or "")),
        begun=int(given["startTimeUnixNano"]),
        ended=int(given["endTimeUnixNano"]),
        code=(given.get("status") or {}).get("code") or 0,
        attributes=_attributes_of(given.get("attributes")),
        resource=resource,
    )


def _hexadecimal(text: str) -> str:
    return bytes.fromhex(text).hex()


def _parent(id_: str, own: str) -> str:
    """The id of what a span is inside of, which is never itself."""
    return id_ if id_.strip(NOTHING) and id_ != own else ""


def _name(text: str) -> str:
    return "" if len(text) > LONGEST else text


def _attributes_of(listed: Json) -> Attributes:
    return _kept((each["key"], _value_of(each.get("value") or {})) for each in listed or ())


def _truth(given: Any) -> bool:
    if not isinstance(given, bool):  # "false" would be true
        raise TypeError
    return given


READERS: Mapping[str, Callable[[Any], Any]] = {
    "stringValue": str,
    "boolValue": _truth,
    "intValue": int,
    "doubleValue": float,
    "arrayValue": lambda given: [_value_of(each) for each in given.get("values") or ()],
}


def _value_of(value: Json) -> Any:
    """The same of JSON, where whole numbers are texts."""
    return next((READERS[kind](given) for kind, given in value.items() if kind in READERS and given is not None), None)


def _kept(pairs: Iterable[tuple[str, Any]]) -> Attributes:
    found = ((name, _short(value)) for name, value in pairs if not name.startswith(CONTENTS))
    return {name: value for name, value in found if value is not None}


def _short(value: Any) -> Any:
    """A value, and what of a list, is short enough to name something; None where it is not."""
    if isinstance(value, list):
        return [short for each in value if (short := _short(each)) is not None]
    return None if isinstance(value, str) and len(value) > LONGEST else value
