"""Which columns may be labels, which are, and what they are called outside: as the record types declare it."""

from collections.abc import Mapping
from dataclasses import fields

from exporter.records import RECORDS

LABELS: Mapping[str, tuple[str, ...]] = {name: record.LABELS for name, record in RECORDS.items()}
"""Record -> the columns that may become labels."""

DEFAULT_LABELS: Mapping[str, tuple[str, ...]] = {name: record.DEFAULT_LABELS for name, record in RECORDS.items()}
"""Record -> the columns that are labels where the config does not say."""

LABEL_NAMES: Mapping[str, str] = {
    each.name: each.metadata["published_as"]
    for record in RECORDS.values()
    for each in fields(record)
    if "published_as" in each.metadata
}
"""Column -> what it is called outside, where that is not its own name."""
