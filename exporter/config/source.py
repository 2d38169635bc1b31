"""Reads one entry of `sources` in the config into a source ready to be polled."""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from exporter.base import duration
from exporter.base.strict_yaml import At
from exporter.collect.auth import Scheme
from exporter.collect.contract import LATER, Connector, Needs, needs, option_key
from exporter.collect.http import HttpSettings
from exporter.collect.mapping import UNMAPPED, compiled, faults, labelled
from exporter.collect.signature import Door
from exporter.collect.source import RecordTypes, Source
from exporter.config.calendar import CalendarReader
from exporter.config.credential import Credentials
from exporter.config.map_file import MapFiles, each_rule
from exporter.config.section import SourceSection
from exporter.config.shape import Checker
from exporter.records import RECORDS, SEGMENTS, record_name
from exporter.records.columns import COLUMNS, Rules
from exporter.records.notation import PLAIN

HTTP_KEYS = {
    *(
        "url",
        "api_key",
        "api_key_file",
        "token",
        "token_file",
        "username",
        "password",
        "password_file",
        "header",
        "auth",
    ),
    *("timeout", "rate", "concurrency", "proxy", "ca_file", "max_response_bytes"),
}
RECEIVE_KEYS = {"scheme", "secret", "secret_file", "max_request_bytes"}
"""Keys of a source that is pushed; those of HTTP_KEYS are of one that is asked."""
SHORTEST_STALENESS = 3600


def common_keys(needed: Needs) -> set[str]:
    """The keys that a source may have beside its connector's own."""
    others = (HTTP_KEYS if needed.auth is None else set()) | (set() if needed.receive else RECEIVE_KEYS)
    return set(SourceSection.model_fields) - others


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads the entries of one config."""

    checker: Checker
    credentials: Credentials
    connectors: Mapping[str, Connector]
    calendars: Collection[str] = ()

    def source(self, data: Any, at: At) -> Source | None:
        """The source of one entry; None after noting mistakes."""
        if not isinstance(data, dict):
            self.checker.wrong(at, "this is not a mapping; write name: ..., type: ... and so on")
            return None
        kind = data.get("type")
        connector = self.connectors.get(kind) if isinstance(kind, str) else None
        if isinstance(kind, str) and connector is None:
            self.checker.unknown("connector", kind, list(self.connectors), (*at, "type"))
        scheme = needs(connector).auth if connector else Scheme()
        local = scheme is None
        if connector and not local and "url" not in data:
            self.checker.wrong((*at, "url"), "this key is missing; write the address of the platform")
        common = common_keys(needs(connector) if connector else Needs())
        own = (
            {option_key(field.name): field.name for field in dataclasses.fields(connector.Options)} if connector else {}
        )
        for key in data if connector else ():
            if key not in common and key not in own:
                self.checker.unknown("key", key, [*common, *own], (*at, key))
        section = self.checker.read(SourceSection, {k: v for k, v in data.items() if k in common and k not in own}, at)
        reached = {} if local else data
        http = self.credentials.http(section or SourceSection.model_construct(), reached, at, scheme or Scheme())
        if connector is None:
            return None
        its = needs(connector)
        door = self.credentials.door(section, at, its.most_bytes) if section and its.receive else None
        options = self._options(connector, {own[k]: (k, v) for k, v in data.items() if k in own}, at)
        if section is None or options is None:
            return None
        parts = {part: self._with_files(getattr(section, part), (*at, part)) for part in ("segments", "fields")}
        section = section.model_copy(update=parts)
        return self._source(section, connector, options, (http, door), at)

    def _options(self, connector: Connector, given: Mapping[str, tuple[str, Any]], at: At) -> Any:
        """The connector's own options; `given` is field -> (key, value)."""
        values = {}
        for field, (key, value) in given.items():
            values[field] = value
            if field != key:
                try:
                    values[field] = duration.seconds(value if isinstance(value, str) else "")
                except ValueError as error:
                    self.checker.wrong((*at, key), str(error))
                    del values[field]
        options: Any = self.checker.read(connector.Options, values, at)
        if options is not None and hasattr(options, "columns"):
            options = dataclasses.replace(options, columns=self._with_files(options.columns, (*at, "columns")))
        for keys, message in options.faults() if hasattr(options, "faults") else ():
            self.checker.wrong(self._written((*at, *keys)), message)
        return options

    def _with_files(self, columns: Mapping[str, Any], at: At) -> Mapping[str, Any]:
        """Rules with the words that their files hold."""
        files = MapFiles(self.checker, self.credentials.folder)
        one = {name for name in columns if (*at, name, 0) not in self.checker.document.lines}
        return each_rule(columns, lambda rule, key: files.filled(rule, (*at, *(key[:1] if key[0] in one else key))))

    def _placed(self, options: Any) -> Any:
        """The options with a path that is relative to the config."""
        if not isinstance(getattr(options, "path", None), str):
            return options
        return dataclasses.replace(options, path=str(self.credentials.folder / options.path))

    def _source(
        self, section: SourceSection, connector: Connector, options: Any, ways: tuple[HttpSettings, Door | None], at: At
    ) -> Source:
        http, door = ways
        price = section.claimed_resolution_price
        records = _fed(connector, options)
        mapping = self._mapping(section, records, at)
        interval = section.interval or needs(connector).interval
        staleness = section.max_staleness or max(3 * interval, SHORTEST_STALENESS)
        if staleness < interval:
            self.checker.wrong((*at, "max_staleness"), "this is shorter than interval; write at least 3 times interval")
        return Source(
            name=section.name,
            type=section.type,
            connector=connector,
            options=self._placed(options),
            http=http,
            mapping={} if self.checker.mistakes else compiled(mapping, records, getattr(options, "notation", PLAIN)),
            records=records,
            labelled={kind: labelled({**getattr(options, "rules", {}), **mapping}, kind) for kind in records},
            interval_seconds=interval,
            initial_history_seconds=section.initial_history,
            max_staleness_seconds=staleness,
            max_data_age_seconds=section.max_data_age,
            most_unread=section.max_unreadable,
            noun=needs(connector).noun,
            door=door,
            calendar=CalendarReader(self.checker).chosen(section.calendar, self.calendars, at),
            claimed_resolution_price=(price.amount, price.currency) if price else None,
            fingerprint=_fingerprint(section, options, http.url),
        )

    def _mapping(self, section: SourceSection, records: RecordTypes, at: At) -> Rules:
        """The checked mapping; empty where something is wrong with it."""
        before = len(self.checker.mistakes)
        columns = {name: column for record in records for name, column in COLUMNS[record].items()}
        of_one = {f"{record_name(kind)}.{name}": column for kind in records for name, column in COLUMNS[kind].items()}
        others = [name for name in columns if name not in SEGMENTS and name not in UNMAPPED]
        for part, rules, known in (("segments", section.segments, SEGMENTS), ("fields", section.fields, others)):
            for name, alternatives in rules.items():
                place = (*at, part, name)
                if part == "fields" and name in SEGMENTS:
                    self.checker.wrong(place, f"{name} is a segment; write it under segments")
                    continue
                if name not in known and not (name in of_one and name.rpartition(".")[2] in known):
                    self.checker.unknown("segment" if part == "segments" else "column", name, known, place)
                    continue
                for i, rule in enumerate(alternatives):
                    inside = (*place, i) if (*place, i) in self.checker.document.lines else place
                    clean = self.checker.clean(inside)
                    for key, message in faults(rule, of_one.get(name) or columns[name]) if clean else ():
                        self.checker.wrong(self._written((*inside, *key)), message)
        return {**section.segments, **section.fields} if len(self.checker.mistakes) == before else {}

    def _written(self, at: At) -> At:
        """The place of a mistake as the config has it: `field` may be written `from`."""
        other = (*at[:-1], "from")
        return other if at[-1:] == ("field",) and other in self.checker.document.lines else at


def _fed(connector: Connector, options: Any) -> RecordTypes:
    """The record types that a source brings: those of its connector, or the one named by its option `record`."""
    record = getattr(options, "record", None)
    return (RECORDS[record],) if record else tuple(connector.RECORDS)


def _meant(value: Any) -> Any:
    """What is written, as JSON has it; a key that came LATER than the stores of an earlier release only where it is not
    at its default."""
    if dataclasses.is_dataclass(value):
        fields = [(each, getattr(value, each.name)) for each in dataclasses.fields(value)]
        return {each.name: _meant(given) for each, given in fields if each.metadata != LATER or given != each.default}
    if isinstance(value, Mapping):
        return {key: _meant(each) for key, each in value.items()}
    return [_meant(each) for each in value] if isinstance(value, list | tuple) else value


def _fingerprint(section: SourceSection, options: Any, url: str) -> str:
    """Of what is written: it is the same however, and from where, the config itself is named."""
    meaning = {
        "type": section.type,
        "url": url,
        "options": _meant(options),
        "initial_history": section.initial_history,
        "mapping": _meant({"segments": section.segments, "fields": section.fields}),
    }
    return hashlib.sha256(json.dumps(meaning, sort_keys=True, default=str).encode()).hexdigest()
