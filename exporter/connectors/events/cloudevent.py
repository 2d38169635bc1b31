"""CloudEvents 1.0 over HTTP: which mode a request is in, and the events in it."""

import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

from exporter.collect.decode import decoded
from exporter.collect.delivery import Delivery, Event, Refused, broken
from exporter.records import Json, instant
from exporter.records.unreadable import Unreadable

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
REQUIRED = ("specversion", "id", "source", "type")
JSON_TYPE = re.compile(r"[^/]+/([^/]+\+)?json")
ESCAPED = re.compile(r"\\(.)")


def events_of(delivery: Delivery) -> list[Event]:
    """The events of a delivery in any of the three modes. Raises Refused."""
    if delivery.media_type == BATCH:
        batch = _json(delivery.body)
        if not isinstance(batch, list):
            raise Refused(400, "not_readable", "a batch is a JSON list of events")
        return _batch(batch, delivery.at)
    try:
        if delivery.media_type == STRUCTURED:
            return [_structured(_json(delivery.body), delivery.at)]
        if not delivery.media_type.startswith("application/cloudevents") and "ce-specversion" in delivery.headers:
            return [_binary(delivery)]
    except Unreadable as why:
        raise Refused(400, "not_readable", str(why)) from None
    raise Refused(
        415, "wrong_type", f"send CloudEvents: {STRUCTURED}, {BATCH}, or with the headers ce-{', ce-'.join(REQUIRED)}"
    )


def is_cdevent(type_: str) -> bool:
    """Whether the data of an event of this type says everything that its attributes say."""
    return type_.startswith(("dev.cdevents.", "dev.cdeventsx."))


def _json(body: bytes) -> Json:
    try:
        return decoded(body)
    except (ValueError, RecursionError):
        raise Refused(400, "not_readable", "the body is not JSON") from None


def _batch(batch: list[Json], at: datetime) -> list[Event]:
    """The events of a batch. One that is none does not cost the others, unless none is one. Raises Refused."""
    events, why = list[Event](), None
    for given in batch:
        try:
            events.append(_structured(given, at))
        except Unreadable as error:
            events.append(broken(repr(given).encode(), at, why := error))
    if why and all(isinstance(each.item, Unreadable) for each in events):
        raise Refused(400, "not_readable", str(why))
    return events


def _structured(event: Json, at: datetime) -> Event:
    if not isinstance(event, dict):
        raise Unreadable("wrong_shape", "an event is a JSON object")
    kind = event.get("datacontenttype") or "application/json"
    is_json = isinstance(kind, str) and JSON_TYPE.fullmatch(kind.partition(";")[0].strip().lower())
    # Of another type it is a text, or bytes: there is no record in it.
    data = (event.get("data") if "data_base64" not in event else _unpacked(event["data_base64"])) if is_json else None
    return _event({name: value for name, value in event.items() if name != "data"}, data, at)


def _unpacked(given: Json) -> Json:
    """JSON that a sender has as bytes."""
    try:
        return decoded(b64decode(given, validate=True))
    except (ValueError, TypeError, RecursionError):
        raise Unreadable("wrong_shape", "the event's data_base64 is not JSON in base64") from None


def _binary(delivery: Delivery) -> Event:
    names = {name: name.removeprefix("ce-") for name in delivery.headers if name.startswith("ce-")}
    attributes = {ours: _unescaped(delivery.headers[name]) for name, ours in names.items()}
    data = _json(delivery.body) if JSON_TYPE.fullmatch(delivery.media_type) else None
    if not delivery.headers_signed:
        if not is_cdevent(attributes.get("type", "")):
            text = "the signature does not cover the headers with the event's type and id: send it in structured mode"
            raise Refused(400, "not_signed", text)
        attributes = {}  # the data says the same, and that is signed
    return _event(attributes, data, delivery.at)


def _unescaped(value: str) -> str:
    """The value of a header: without quotes, which older senders write, and with one round of percent-decoding."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = ESCAPED.sub(r"\1", value[1:-1])
    try:
        return unquote_to_bytes(value.encode("utf-8", "surrogateescape")).decode()
    except UnicodeDecodeError:
        raise Unreadable("wrong_shape", "the value of a header is not UTF-8, percent-encoded") from None


def _event(attributes: Mapping[str, Any], data: Json, at: datetime) -> Event:
    """An event of its attributes and data. Those of a CDEvent are in its data, and that counts. Raises Unreadable."""
    context = data.get("context") if isinstance(data, dict) else None
    type_ = context.get("type") if isinstance(context, dict) else None
    inside = isinstance(type_, str) and is_cdevent(type_)
    said = {**attributes, **context} if inside and isinstance(context, dict) else attributes
    required = REQUIRED[1:] if inside else REQUIRED  # the version of CDEvents has had two names
    for name in required:
        if not isinstance(said.get(name), str) or not said[name]:
            raise Unreadable("missing", f"the event has no {name}")
    if not inside and said["specversion"] != "1.0":
        raise Unreadable("unknown_word", "the specversion is not 1.0")
    time = said.get("timestamp") if inside else said.get("time")
    try:
        happened = instant(time.upper() if isinstance(time, str) else time) or at
    except Unreadable:
        if not inside:
            raise Unreadable("not_a_time", "the event's time is not one with an offset") from None
        happened = at  # its part says that it cannot be read
    # A time to come would hide all that follows until then.
    return Event(f"{said['source']}\0{said['id']}", said["type"], min(happened, at), data)
