"""How many stored records of a source have a label, of those that the config fills, and how many lack it."""

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.records import Record, record_name
from exporter.store.table import Database

Labelled = Mapping[type[Record], Mapping[str, frozenset[str] | None]]
"""Record -> label that the config fills -> the words of its map; None: any word is right."""


@dataclass(frozen=True, slots=True)
class Unmapped:
    """Of one label: the stored records in which it is unknown, or has a word that its map does not know."""

    record: str
    column: str
    unmapped: int
    records: int

    @property
    def share(self) -> float:
        """0 where there is no record."""
        return self.unmapped / max(1, self.records)


def counted(db: Database, source: str, labelled: Labelled) -> list[Unmapped]:
    """The labels of a source, in the order of the config."""
    found = []
    for record, columns in labelled.items():
        if not columns:
            continue
        lacks = [
            f'"{column}" is null' + ("" if words is None else f' or not list_contains($words{i}, "{column}")')
            for i, (column, words) in enumerate(columns.items())
        ]
        words = {f"words{i}": sorted(words) for i, words in enumerate(columns.values()) if words is not None}
        counts = ", ".join(f"count(*) filter (where {lack})" for lack in lacks)
        query = f'select count(*), {counts} from "{record_name(record)}" where source = $source'
        ((total, *lacking),) = db.execute(query, {"source": source, **words}).fetchall()
        of = record_name(record)
        found += [Unmapped(of, column, count, total) for column, count in zip(columns, lacking, strict=True) if total]
    return found
