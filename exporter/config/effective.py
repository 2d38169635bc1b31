"""The effective config: what a config file says and every default that it leaves out, in the words of the file.

It is a config itself, which means the same. Secrets are in it as they are in the file: as a reference.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from exporter.base import duration
from exporter.collect.contract import needs, option_key
from exporter.collect.source import Source
from exporter.config import Config
from exporter.config.secret import REFERENCE
from exporter.config.section import KpiSection, LengthText, SourceSection, Whole
from exporter.config.source import common_keys
from exporter.evaluation.plan import NOBODY, Setting

SECRETS = frozenset(
    {"api_key", "token", "password", "secret", "client_secret", "private_key", "refresh_token", "person_key"}
)
HIDDEN = "<secret>"


def effective(config: Config, data: Mapping[str, Any]) -> dict[str, Any]:
    """A config without mistakes and the content of its file -> the content of a file with every default."""
    whole = {key: value for key, value in filled(Whole, data).items() if key not in ("sources", "kpis", "labels")}
    sources = [_source(source, entry) for source, entry in zip(config.sources, data["sources"], strict=True)]
    labels = {record: list(names) for record, names in config.plan.labels.items()}
    chosen = [each for each in config.plan.settings if each.chosen]
    of_each = {each.kpi.name: _kpi(each, config.own, data, whole["min_coverage"]) for each in chosen}
    kpis = {**(data.get("kpis") or {}), **of_each}
    content: dict[str, Any] = hidden({**whole, "labels": labels, "sources": sources, "kpis": kpis})
    return content


def filled(model: type[BaseModel], data: Mapping[str, Any], keys: set[str] | None = None) -> dict[str, Any]:
    """What is written in a section, and the defaults of those of its `keys` (None: all) that are not written."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    defaults = {key: _default(field) for key, field in fields.items() if keys is None or key in keys}
    written = {key: _inside(fields[key].annotation, value) if key in fields else value for key, value in data.items()}
    return written | {key: value for key, value in defaults.items() if key not in written and not _empty(value)}


def _empty(value: Any) -> bool:
    return value is None or value in ({}, [])


def _default(field: FieldInfo) -> Any:
    """The default of a key as it would be written."""
    value = None if field.is_required() else field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return filled(type(value), {})
    length = any(getattr(each, "json_schema_input_type", None) is LengthText for each in field.metadata)
    return duration.text(value) if length and isinstance(value, int) else _plain(value)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((each.name, getattr(value, each.name)) for each in dataclasses.fields(value))
        return {name: _plain(content) for name, content in pairs if not _empty(content)}
    if isinstance(value, Mapping):
        return {key: _plain(content) for key, content in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple | list | frozenset) else value


def _inside(annotation: Any, value: Any) -> Any:
    """What is written below a key, with the defaults of the sections in it."""
    model = next(_models(annotation), None)
    if model is None:
        return value
    if isinstance(value, list):
        return [filled(model, each) for each in value]
    if get_origin(annotation) is Mapping:
        return {key: filled(model, each) for key, each in value.items()}
    return filled(model, value) if isinstance(value, dict) else value


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _source(source: Source, entry: Mapping[str, Any]) -> dict[str, Any]:
    common = filled(SourceSection, entry, common_keys(needs(source.connector)) - {"interval", "max_staleness"})
    lengths = {"interval": source.interval_seconds, "max_staleness": source.max_staleness_seconds}
    own = dict[str, Any]()
    for each in dataclasses.fields(source.connector.Options):
        default = each.default_factory() if each.default_factory is not dataclasses.MISSING else each.default
        if default is not dataclasses.MISSING:
            length = each.name.endswith("_seconds") and isinstance(default, int)
            own[option_key(each.name)] = duration.text(default) if length else _plain(default)
    defaults = {key: duration.text(value) for key, value in lengths.items()} | {
        key: value for key, value in own.items() if not _empty(value) and value != ""
    }
    return common | {key: value for key, value in defaults.items() if key not in common}


def _kpi(setting: Setting, own: Collection[str], data: Mapping[str, Any], min_coverage: float) -> dict[str, Any]:
    kpi, written = setting.kpi, (data.get("kpis") or {}).get(setting.kpi.name) or {}
    people = {name: getattr(setting, name) for name in ("owner", "business_owner", "technical_owner", "escalation")}
    levels = {name: getattr(setting.threshold, name) for name in ("warning", "critical")}
    shipped = kpi.name not in own  # one's own says its parameters itself
    params = {name: param.default for name, param in kpi.params.items() if shipped and param.type != "predicate"}
    defaults = {
        "tier": setting.tier,
        "indicator": setting.indicator,
        **{name: text for name, text in people.items() if text != NOBODY},
        "cadence": setting.cadence,
        "basis": setting.basis if kpi.business else None,
        "min_coverage": setting.min_coverage if setting.min_coverage != min_coverage else None,
        "threshold": {name: level for name, level in levels.items() if level is not None},
        **params,
    }
    known = KpiSection.model_fields.keys()
    given = {
        key: _inside(KpiSection.model_fields[key].annotation, value) if key in known else value
        for key, value in written.items()
    }
    threshold = {**defaults["threshold"], **(written.get("threshold") or {})}
    return {key: value for key, value in {**defaults, **given, "threshold": threshold}.items() if not _empty(value)}


def hidden(content: Any, key: str = "") -> Any:
    """The same without secrets: where one would be written, instead of a reference to it, something else stands."""
    if isinstance(content, dict):
        return {name: hidden(value, name) for name, value in content.items()}
    if isinstance(content, list):
        return [hidden(each, key) for each in content]
    secret = key in SECRETS and isinstance(content, str) and not REFERENCE.fullmatch(content.strip())
    return HIDDEN if secret else content
