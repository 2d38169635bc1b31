"""What rows of files are: files as people and programs write them, and the records they must become."""

import gzip
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import openpyxl

from exporter.records import RECORDS, Account, Booking, Change, Cost, Record, Request, Run, person_columns
from exporter.records.columns import COLUMNS, Rule
from tests.connectors.truth import Truth, hashed
from tests.connectors.world import AT

ENUMS = "rows hold the words of our own records, and no platform's"
TECHNICAL = {"page_size"}

NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def truth(what: str, folder: Path, files: Mapping[str, str | bytes], records: list[Record], **others: Any) -> Truth:
    """A folder of its own with these files, written long ago."""
    place = folder / what.replace(" ", "-")
    place.mkdir(exist_ok=True)
    for name, content in files.items():
        (place / name).write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(place / name, (AT.timestamp() - 7200,) * 2)
    options = {"path": f"{place}/*", **others.pop("options")}
    return Truth(what=what, records=records, options=options, **others)


def lines(*rows: Mapping[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def zipped(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, content)
    return made.getvalue()


def sheet(*rows: Sequence[Any]) -> bytes:
    """A workbook with one sheet, Tickets."""
    book, made = openpyxl.Workbook(), io.BytesIO()
    page = book.active
    assert page is not None
    page.title = "Tickets"
    for row in rows:
        page.append(row)
    book.save(made)
    return made.getvalue()


def parquet(folder: Path, select: str) -> bytes:
    path = folder / "made.parquet"
    duckdb.execute(f"copy ({select}) to '{path}'")
    made = path.read_bytes()
    path.unlink()
    return made


def truths(folder: Path) -> Iterator[Truth]:
    folder.mkdir(exist_ok=True)
    for name, record in RECORDS.items():
        yield every_column(folder, name, record)
    yield tables(folder)
    yield endings(folder)
    yield documents(folder)
    yield from formats_that_are_said(folder)
    yield kinds_of_parquet(folder)
    yield from ways_of_writing(folder)
    yield names_of_their_own(folder)
    yield ids_of_several_columns(folder)
    yield rows_that_are_none(folder)
    yield other_things(folder)


def every_column(folder: Path, name: str, record: type[Record]) -> Truth:
    """A record with a value of its own in every column, and one row for each word that a column may hold."""
    columns = {each: column for each, column in COLUMNS[record].items() if each != "source"}
    rows, made = [], []
    for number in range(max(len(column.words) for column in columns.values()) or 1):
        row: dict[str, Any] = {}
        for place, (each, column) in enumerate(columns.items(), 1):
            row[each] = {
                "text": sorted(column.words)[number % len(column.words)] if column.words else f"{each} {number}",
                "boolean": place % 2 == 0,
                "integer": place,
                "number": 0.25 if column.high <= 1 else place + 0.5,
                "instant": at(place),
                "texts": (f"{each} a", f"{each} b"),
            }[column.kind]
        person = {each: hashed(row[each]) for each in person_columns(record)}
        made.append(record(**{**row, **person}))
        rows.append({each: given.isoformat() if isinstance(given, datetime) else given for each, given in row.items()})
    return truth(f"every column of {name}", folder, {"a.jsonl": lines(*rows)}, made, options={"record": name})


def tables(folder: Path) -> Truth:
    """CSV: an empty cell is unknown, a quoted one may hold lines, and several texts are parted by semicolons."""
    text = (
        "id,updated_at,services,automated,kind,service,deployed_at\n"
        'c1,,billing;web,yes,Emergency,"two\nlines, one cell",2026-03-30T14:00:00+02:00\n'
        "\n"
        "c2,2026-03-30T12:05:00Z,,0,deployment,,\n"
    )
    made = [
        Change(
            id="c1", services=("billing", "web"), automated=True, kind="emergency", service="two lines, one cell",
            deployed_at=NOON,
        ),
        Change(id="c2", updated_at=at(5), automated=False, kind="deployment"),
    ]  # fmt: skip
    return truth("a table", folder, {"a.csv": "\ufeff" + text}, [*made], options={"record": "change"})


def endings(folder: Path) -> Truth:
    """What a file holds by how its name ends; also when it is packed, or a number follows."""
    row = '{"id": "%s", "day": "2026-03-30T00:00:00Z"}\n'
    files: dict[str, str | bytes] = {
        "a.jsonl": row % "a",
        "b.ndjson": row % "b",
        "c.json": row % "c",
        "d.csv": "id,outcome\nd,attended\n",
        "e.parquet": parquet(folder, "select 'e' as id, 'no_show' as outcome"),
        "f.jsonl.1": row % "f",
        "g.JSONL.gz": gzip.compress((row % "g").encode()),
        "h.zip": zipped("export/h.jsonl", (row % "h").encode()),
        "i.tsv": "id,outcome\ni,attended\n",
        "j.xlsx": sheet(["id", "outcome"], ["j", "attended"]),
        "k.xlsm": sheet(["id", "outcome"], ["k", "attended"]),
    }
    made: list[Record] = [Booking(id=key, starts_at=datetime(2026, 3, 30, tzinfo=UTC)) for key in "abcfgh"]
    made += [*(Booking(id=key, outcome="attended") for key in "dijk"), Booking(id="e", outcome="no_show")]
    options = {"record": "booking", "columns": {"day": "starts_at"}}
    return truth("endings", folder, files, made, options=options)


def documents(folder: Path) -> Truth:
    """A JSON file may be a list, or an object around one, over many lines."""
    files = {
        "list.json": json.dumps([{"id": "a"}, {"id": "b"}], indent=1),
        "object.json": json.dumps({"total": 2, "requests": [{"id": "c"}, {"id": "d"}], "words": ["x"]}, indent=1),
        "item.json": json.dumps({"id": "e"}),
    }
    made: list[Record] = [Request(id=key) for key in "abcde"]
    return truth("documents", folder, files, made, options={"record": "request"})


def formats_that_are_said(folder: Path) -> Iterator[Truth]:
    """Whatever the names of the files end with."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    made: list[Record] = [Cost(id="x", amount=1.5, period_start=start)]
    contents: dict[str, str | bytes] = {
        "csv": "id;amount;period_start\nx;1.5;2026-03-01T00:00:00Z\n",
        "json_lines": lines({"id": "x", "amount": 1.5, "period_start": "2026-03-01T00:00:00Z"}),
        "parquet": parquet(folder, "select 'x' as id, 1.5 as amount, '2026-03-01T00:00:00Z' as period_start"),
        "xlsx": sheet(["id", "amount", "period_start"], ["x", 1.5, "2026-03-01T00:00:00Z"]),
    }
    for kind, content in contents.items():
        options = {"record": "cost", "format": kind, "delimiter": ";"}
        yield truth(f"what is said to be {kind}", folder, {"export.txt": content}, made, options=options)


def kinds_of_parquet(folder: Path) -> Truth:
    """A time with its zone, a decimal number, a number that is none, a list, and what is not there."""
    select = (
        "select 'r1' as id, timestamptz '2026-03-30 14:00:00+02:00' as started_at, 12.5::decimal(9, 2) as human_seconds"
        ", 3 as attempt, null::varchar as trigger, true as rework"
        " union all select 'r2', timestamptz '2026-03-30 12:05:00.25+00:00', null, 1, 'api', null"
    )
    made: list[Record] = [
        Run(id="r1", started_at=NOON, human_seconds=12.5, attempt=3, rework=True),
        Run(id="r2", started_at=at(5) + timedelta(milliseconds=250), attempt=1, trigger="api"),
    ]
    return truth("kinds of Parquet", folder, {"a.parquet": parquet(folder, select)}, made, options={"record": "run"})


def ways_of_writing(folder: Path) -> Iterator[Truth]:
    """The same ticket, as a table of another encoding and as a spreadsheet write it."""
    columns: dict[str, Any] = {
        "Nr": "id",
        "Erfa\u00dft": "opened_at",
        "Note": {"to": "csat", "scale": [1, 5]},
        "Kosten": {"to": "human_seconds", "unit": "minutes"},
        "Status": {"to": "outcome", "map": {"Gel\u00f6st": "resolved"}, "otherwise": "open"},
        "*": "",
    }
    table = (
        "Bericht M\u00e4rz\r\nNr;Erfa\u00dft;Note;Kosten;Status;Notiz;Notiz\r\n"
        "1;30.03.2026 14:00;4,5;\u20ac 1.234,5;Gel\u00f6st;x;y\r\n2;?;?;?;wartet;;\r\n"
    )
    made = [Request(id="1", opened_at=NOON, csat=0.875, human_seconds=1234.5 * 60, outcome="resolved")]
    made += [Request(id="2", outcome="open")]
    common = {"record": "request", "columns": columns, "time_zone": "Europe/Berlin", "header_line": 2, "nulls": ["?"]}
    german = {"encoding": "cp1252", "delimiter": ";", "time_format": "%d.%m.%Y %H:%M", "decimal": ",", "thousands": "."}
    files = {"a.csv": table.encode("cp1252")}
    yield truth("a German table", folder, files, [*made], options=common | german)
    for encoding in ("utf-8", "utf-16", "cp1252", "latin-1"):
        word = {"a.jsonl": '{"id": "1", "category": "M\u00e4rz"}\n'.encode(encoding)}
        named = {"record": "request", "encoding": encoding}
        yield truth(f"a word in {encoding}", folder, word, [Request(id="1", category="M\u00e4rz")], options=named)
    local = datetime(2026, 3, 30, 14)  # noqa: DTZ001 - as spreadsheets have it
    workbook = sheet(
        ["Bericht"],
        ["Nr", "Erfa\u00dft", "Note", "Kosten", "Status", None],
        [1, local, 4.5, 1234.5, "Gel\u00f6st", None],
        [2, "?", None, None, "wartet", "x"],
    )
    options = common | {"sheet": "Tickets"}
    yield truth("a German spreadsheet", folder, {"a.xlsx": workbook}, [*made], options=options)


def names_of_their_own(folder: Path) -> Truth:
    """Columns called otherwise, passed over, or found by the config's fields in the row as it was given."""
    text = (
        "number,Opened,Comment,Comment,User,Group\n"
        "I1,2026-03-30T12:00:00Z,left,as it is,Anna,crm\n"
        "I2,2026-03-30T12:01:00Z,,,anna@customer.test,\n"
    )
    options = {
        "record": "account",
        "columns": {"number": "id", "Opened": "granted_at", "Comment": "", "User": "person", "Group": ""},
    }
    made: list[Record] = [
        Account(id="I1", granted_at=NOON, person=hashed("Anna"), team="crm"),
        Account(id="I2", granted_at=at(1), person=hashed("anna@customer.test")),
    ]
    fields = {"team": Rule(field="Group")}
    return truth("names of their own", folder, {"a.csv": text}, made, options=options, fields=fields)


def ids_of_several_columns(folder: Path) -> Truth:
    """A digest of the values as they stand, whatever follows them; the same in every file."""
    text = "Day,Who,Group\n2026-03-30T12:00:00Z, Anna ,crm\n2026-03-30T12:00:00Z,,erp\n"
    options = {
        "record": "account",
        "columns": {"Day": "granted_at", "Who": "person", "Group": "team"},
        "id_columns": ["Day", "Who"],
    }
    ids = [digest(["2026-03-30T12:00:00Z", "Anna"]), digest(["2026-03-30T12:00:00Z", ""])]
    made: list[Record] = [
        Account(id=ids[0], granted_at=NOON, person=hashed("Anna"), team="crm"),
        Account(id=ids[1], granted_at=NOON, team="erp"),
    ]
    return truth("ids of several columns", folder, {"a.csv": text}, made, options=options)


def digest(values: Sequence[str]) -> str:
    """Stored ids depend on it, so it never changes."""
    return hashlib.blake2b(json.dumps(values).encode(), digest_size=12).hexdigest()


def rows_that_are_none(folder: Path) -> Truth:
    """Each costs itself, and is told of."""
    text = '{"id": "a"}\n[1]\n{"id": \n{"outcome": "open"}\n{"id": "b", "outcome": "pondering"}\n{"id": "c"}\n'
    table = "id,outcome\nd\ne,open\nf,open,much\n"
    made: list[Record] = [Request(id="a"), Request(id="c"), Request(id="e", outcome="open")]
    said = [
        "item: is not a JSON object",
        "item: is not JSON",
        "id: there is no id",
        "outcome: 'pondering' is none of abandoned, discarded, open, resolved",
        "item: 1 cells where the header has 2",
        "item: 3 cells where the header has 2",
    ]
    files = {"a.jsonl": text, "b.csv": table}
    return truth("rows that are none", folder, files, made, options={"record": "request"}, left_out=said)


def other_things(folder: Path) -> Truth:
    """Files that hold no text: said to be what they are."""
    begins = {
        b"\xd0\xcf\x11\xe0": "an old workbook (.xls), or one with a password; save it as .xlsx or CSV",
        b"<html": "a web page, whatever its name says; save it as .xlsx or CSV",
        b"<!DOC": "a web page, whatever its name says; save it as .xlsx or CSV",
        b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it, or use gzip",
        b"BZh91AY": "compressed with bzip2; unpack it, or use gzip",
        b"\xfd7zXZ": "compressed with xz; unpack it, or use gzip",
        b"\xff\xfe": "UTF-16; set encoding: utf-16",
        b"\xfe\xff": "UTF-16; set encoding: utf-16",
        b"PAR1": "Parquet; set `format: parquet`, or name it .parquet",
    }
    files: dict[str, str | bytes] = {f"{number}.csv": magic + b"123456\n" for number, magic in enumerate(begins)}
    place = folder / "other-things"
    said = [f"item: {place}/{number}.csv: is {what}" for number, what in enumerate(begins.values())]
    for number, (member, magic) in enumerate((("a.csv.gz", gzip.compress(b"x")), ("a.csv", zipped("a.csv", b"id\n")))):
        files[f"twice{number}.zip"] = zipped(member, magic)
        said.append(f"item: {place}/twice{number}.zip: is packed twice; unpack it once")
    files["good.csv"] = "id\na\n"
    return truth("other things", folder, files, [Request(id="a")], options={"record": "request"}, left_out=said)
