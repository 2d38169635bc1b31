"""Events: a CDEvent, or a record as it is, pushed as a CloudEvent, becomes what it says of a record.

API      CloudEvents 1.0 over HTTP, POST to /events/NAME of the exporter itself, in binary, structured or batched mode,
         optionally packed with gzip. 202 once the events are stored; 401, 408, 413, 415 and 400 if a delivery is
         refused; 503 with Retry-After if it should be sent again. Of a batch, events that cannot be read are counted
         and the others are taken. Types: dev.cdevents.* of CDEvents 0.4 and 0.5, and outcome.RECORD (such as
         outcome.run), whose data is an object with an id and columns of that record. A column that is absent stays as
         it is known; null says that it is unknown. Anything else for segments and fields goes into the data's key
         custom.
Access   Create a secret with `openssl rand -hex 32`, give it to the sender, and name its file in secret_file. Senders
         prove themselves with it as a bearer token, or by a signature in one of the forms of scheme. Each source has
         its own secrets, and a sender of one cannot write into another. Serve TLS, or listen behind a proxy that does.
Polls    Nothing: senders push. Once a minute the source is marked as listening. Its values are complete from the time
         when it was first configured.
Cursor   Empty. Events that came lately are remembered in the store, by source and id.
Blind    Events that a sender gave up, or never sent; a second exporter sees only what is sent to it. Whether a source
         is silent or its sender broken: see max_data_age. A deployment that failed: CDEvents have only its pipeline
         run. A rollback without the chainId of the deployment that it reverts is a change of its own. The review of a
         change and its deployment are two records, so the time from commit to deployment needs first_commit_at under
         fields. The order of events from senders whose clocks differ: it is the order of their times. A mapping that is
         changed in the config applies to what comes afterwards. What was sent under another name of the source: records
         of a source that is not in the config do not count.
Checked  The conformance events of CDEvents 0.5.1, and published test vectors of signatures.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from exporter import records
from exporter.collect.contract import Cursor, Page
from exporter.collect.delivery import Delivery, Event, Received
from exporter.collect.http import Client
from exporter.connectors.events.cloudevent import events_of
from exporter.connectors.events.mapping import cdevent
from exporter.connectors.events.own import own_record
from exporter.records import Read, RequestOutcome

RECORDS = tuple(records.RECORDS.values())
AUTH = None
NOUN = "event"
ROUTE = "/events/{source}"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is not in the events themselves."""

    approved_by: Literal["merged", "reviewed"] = "merged"
    resolutions: Mapping[str, RequestOutcome] = field(default_factory=dict)


async def poll(client: Client, options: Options, cursor: Cursor) -> AsyncIterator[Page]:  # noqa: ARG001 - the contract
    """Nothing: it is pushed."""
    return
    yield


def receive(delivery: Delivery, options: Options) -> Received:  # noqa: ARG001 - the contract
    """The CloudEvents in a delivery. Raises Refused."""
    return Received(events_of(delivery))


def read_event(options: Options, event: Event) -> Iterable[Read] | None:
    """What an event says of records; None where its type is none that is read."""
    if (own := own_record(event)) is not None:
        return own
    return cdevent(event, options.approved_by, options.resolutions)
