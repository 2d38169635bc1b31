"""JSON Schema of the config and of KPI files, with which editors complete and check them.

It is generated from the models that read them. A schema gives the keys and words; what only makes sense together
is checked by `outcome-exporter check`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from exporter.base import duration
from exporter.catalogue.group import GROUPS
from exporter.catalogue.kpi import Kpi, Needed, Param
from exporter.collect.contract import Connector, needs, option_key
from exporter.config import choice
from exporter.config.own_kpis import KEYS
from exporter.config.section import GroupSection, KpiSection, SourceSection, Whole
from exporter.config.source import common_keys

Schema = dict[str, Any]
DIALECT = "http://json-schema.org/draft-07/schema#"
LENGTH: Schema = {"type": "string", "pattern": duration.PATTERN}
PARAMS: Mapping[str, Schema] = {"duration": LENGTH, "predicate": {"type": "string"}, "number": {"type": "number"}}
OF_FILE = frozenset({"facts", "needs"})
"""Keys that a file of KPIs says once for all of its own."""


class _Schemas:
    """Schemas of models, with all that they refer to in one place."""

    def __init__(self) -> None:
        self.definitions: Schema = {}

    def of(self, model: Any) -> Schema:
        """The schema of a model; unknown keys are refused, as they are when a file is read."""
        made = TypeAdapter(model).json_schema(by_alias=True, ref_template="#/definitions/{model}")
        self.definitions |= {name: _closed(each) for name, each in made.pop("$defs", {}).items()}
        if "$ref" in made:
            return dict(self.definitions[made["$ref"].removeprefix("#/definitions/")])
        return _closed(made)

    def named(self, model: type[BaseModel]) -> Schema:
        """A reference to the schema of a model."""
        self.definitions[model.__name__] = self.of(model)
        return {"$ref": f"#/definitions/{model.__name__}"}

    def whole(self, schema: Schema, title: str) -> Schema:
        """A schema that stands alone."""
        return {"$schema": DIALECT, **schema, "title": title, "definitions": dict(sorted(self.definitions.items()))}


def _closed(schema: Schema) -> Schema:
    return {"additionalProperties": False, **schema} if "properties" in schema else schema


def config_schema(kpis: Mapping[str, Kpi], connectors: Mapping[str, Connector]) -> Schema:
    """The schema of the config, with the options of each connector and the parameters of each KPI."""
    schemas = _Schemas()
    whole = schemas.of(Whole)
    sources = [_source(schemas, kind, connector) for kind, connector in sorted(connectors.items())]
    whole["properties"] |= {
        "sources": {"type": "array", "minItems": 1, "items": {"anyOf": sources}},
        "kpis": {
            "anyOf": [
                {
                    "type": "object",
                    "properties": _of_several(schemas, kpis) | {n: _setting(schemas, k) for n, k in kpis.items()},
                    "additionalProperties": _own(schemas),
                },
                {"type": "null"},
            ]
        },
    }
    return schemas.whole(whole | {"required": ["sources"]}, "Config of Outcome Exporter")


def _of_several(schemas: _Schemas, kpis: Mapping[str, Kpi]) -> Schema:
    """What may be said of several KPIs at once."""
    names = {"anyOf": [{"enum": [*GROUPS, *kpis]}, {"type": "string"}]}  # the config may define more
    group = schemas.named(GroupSection)
    return {
        choice.ONLY: {"type": "array", "minItems": 1, "items": names},
        choice.SHARED: _object({name: {"description": text, **group} for name, text in GROUPS.items()}),
    }


def _source(schemas: _Schemas, kind: str, connector: Connector) -> Schema:
    section, options = schemas.of(SourceSection), schemas.of(connector.Options)
    local = needs(connector).auth is None
    keys = {field.name: option_key(field.name) for field in dataclasses.fields(connector.Options)}
    own = {key: options["properties"][name] if name == key else LENGTH for name, key in keys.items()}
    allowed = common_keys(needs(connector))
    common = {key: each for key, each in section["properties"].items() if key in allowed}
    required = ["name", "type", *([] if local else ["url"]), *(keys[name] for name in options.get("required", ()))]
    return _object({**common, **own, "type": {"const": kind}}, required)


def _setting(schemas: _Schemas, kpi: Kpi) -> Schema:
    """What may be said of a shipped KPI; nothing at all, too."""
    params = {name: PARAMS[param.type] for name, param in kpi.params.items()}
    plain = schemas.named(KpiSection)
    said = _object({**schemas.of(KpiSection)["properties"], **params}) if params else plain
    return {"title": kpi.title, "description": kpi.help, "anyOf": [said, {"type": "null"}]}


def _own(schemas: _Schemas) -> Schema:
    """A KPI that the config defines."""
    declared = schemas.of(Kpi)["properties"]
    keys = {key: each for key, each in declared.items() if key in KEYS} | {"fields": _names()}
    return _object({**keys, **schemas.of(KpiSection)["properties"]}, ["facts", "title", "help", "kind", "better"])


def kpis_schema() -> Schema:
    """The schema of a file in exporter/kpis/."""
    schemas = _Schemas()
    declared = schemas.of(Kpi)["properties"] | {"fields": _names()}
    field = schemas.of(Needed)["properties"]
    params = {"type": "object", "additionalProperties": schemas.of(Param)}
    keys = {key: each for key, each in declared.items() if key not in ("name", "written", *OF_FILE)}
    shared = {key: each for key, each in declared.items() if key not in ("name", "written")}
    kpi = _object(
        keys | {"params": params, "needs": declared["needs"]}, ["title", "help", "kind", "better", "tier", "guard"]
    )
    fields = _object({key: each for key, each in field.items() if key not in ("record", "name")})
    file = shared | {
        "fields": {"type": "object", "additionalProperties": {"anyOf": [fields, {"type": "null"}]}},
        "kpis": {"type": "object", "additionalProperties": kpi},
    }
    return schemas.whole(_object(file, ["facts", "needs", "group", "indicator", "kpis"]), "KPIs of Outcome Exporter")


def _object(properties: Mapping[str, Schema], required: list[str] | None = None) -> Schema:
    made: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return made | ({"required": required} if required else {})


def _names() -> Schema:
    """Fields, which are told by name."""
    return {"type": "array", "items": {"type": "string"}}
