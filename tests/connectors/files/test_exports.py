"""Exports as helpdesks, spreadsheets and data frames write them."""

import gzip
import io
import sys
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import openpyxl
import pytest

from exporter.collect.http import NotUnderstood
from exporter.connectors.files.mapping import Target
from exporter.records import Request
from tests.connectors.files.folder import Folder, line, parquet
from tests.connectors.files.test_broken_files import faults, measured

OPENED = datetime(2026, 3, 30, 8, tzinfo=UTC)
BERLIN: dict[str, Any] = {"time_zone": "Europe/Berlin", "time_format": "%d.%m.%Y %H:%M"}
BERLIN_DAYS: dict[str, Any] = {"time_zone": "Europe/Berlin", "time_format": "%d.%m.%Y"}
GERMAN = "sep=;\r\nTicket;Eröffnet;Rubrik;Zufriedenheit;;\r\n1;30.03.2026 10:00;Störung;4,5;;\r\n"
GERMAN_COLUMNS: dict[str, Any] = {
    "Ticket": "id",
    "Eröffnet": "opened_at",
    "Rubrik": "category",
    "Zufriedenheit": Target(to="csat", scale=(1, 5)),
}
GERMAN_REQUEST = Request(id="1", opened_at=OPENED, category="Störung", csat=0.875)


async def said(folder: Folder, **options: Any) -> str:
    """Why nothing could be read, without the folder."""
    with pytest.raises(NotUnderstood) as raised:
        await folder.poll(**options)
    return str(raised.value).removeprefix(f"{folder.path}/")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252", "latin-1"])
async def test_a_german_spreadsheet_is_read_as_it_was_saved(folder: Folder, encoding: Any) -> None:
    folder.write("a.csv", GERMAN.encode(encoding))
    await folder.poll(encoding=encoding, decimal=",", columns=GERMAN_COLUMNS, **BERLIN)

    assert folder.request("1") == GERMAN_REQUEST
    assert folder.skipped == 0


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
async def test_of_another_encoding_only_what_was_appended_is_read(folder: Folder, encoding: Any) -> None:
    folder.write("a.csv", "id,category\n1,Störung\n".encode(encoding), ago=5)

    assert await folder.poll(encoding=encoding) == 1

    folder.write("a.csv", "2,Büro\n".encode("utf-16-le" if encoding == "utf-16" else encoding)[:-3], ago=5, append=True)

    assert await folder.poll(encoding=encoding) == 0

    folder.write("a.csv", "2,Büro\n".encode("utf-16-le" if encoding == "utf-16" else encoding)[-3:], ago=5, append=True)

    assert await folder.poll(encoding=encoding) == 1
    assert folder.request("2").category == "Büro"


@pytest.mark.parametrize(
    ("written", "configured", "fault"),
    [
        ("cp1252", "utf-8", "a.csv:3: not UTF-8; set encoding: cp1252"),
        ("utf-16", "utf-8", "a.csv: is UTF-16; set encoding: utf-16"),
        ("utf-16-le", "utf-8", "a.csv: is UTF-16; set encoding: utf-16"),
        ("utf-8", "cp1252", "a.csv: is not cp1252; set encoding: utf-8"),
        ("utf-8", "latin-1", "a.csv: is not latin-1; set encoding: utf-8"),
        ("utf-16", "cp1252", "a.csv: is not cp1252; set encoding: utf-16"),
        ("utf-8", "utf-16", "a.csv: is not utf-16; set encoding: utf-8"),
        ("cp1252", "utf-16", "a.csv: is not utf-16; set encoding: cp1252"),
    ],
)
async def test_an_encoding_that_does_not_fit_is_told_with_the_one_that_does(
    folder: Folder, written: str, configured: Any, fault: str
) -> None:
    folder.write("a.csv", "id,category\n1,x\n2,Störung\n".encode(written))

    assert await said(folder, encoding=configured) == fault


async def test_a_byte_that_cp1252_does_not_have_is_told_with_its_line(folder: Folder) -> None:
    folder.write("a.csv", b"id,category\n1,x\n2,\x81\n")

    assert await said(folder, encoding="cp1252") == "a.csv:3: not cp1252; set encoding: latin-1"


async def test_json_lines_of_another_encoding_are_read_or_told(folder: Folder) -> None:
    text = '{"id": "1", "category": "Störung"}\n'.encode("cp1252")
    folder.write("a.jsonl", text)
    await folder.poll()

    assert [each.faults[0].text for each in folder.left_out] == ["not UTF-8; set encoding: cp1252"]

    folder.cursor = {}
    await folder.poll(encoding="cp1252")

    assert folder.request("1").category == "Störung"


async def test_times_of_a_column_may_be_written_otherwise_than_those_of_the_source(folder: Folder) -> None:
    folder.write("a.csv", "id,opened_at,Solved,Closed\n1,30.03.2026 10:00,46111.5,1774864800000\n")
    columns = {
        "Solved": Target(to="resolved_at", time_format="excel", time_zone="UTC"),
        "Closed": Target(to="closed_at", time_format="epoch_ms"),
    }
    await folder.poll(columns=columns, **BERLIN)

    assert folder.request("1") == Request(
        id="1",
        opened_at=OPENED,
        resolved_at=datetime(2026, 3, 30, 12, tzinfo=UTC),
        closed_at=datetime(2026, 3, 30, 10, tzinfo=UTC),
    )


async def test_a_day_first_or_month_first_is_asked_and_not_guessed(folder: Folder) -> None:
    folder.write("a.csv", "id,opened_at\n1,03/04/2026\n")
    await folder.poll()
    [left_out] = folder.left_out

    assert (left_out.whole, left_out.place, left_out.faults[0].text) == (
        True,
        "a.csv:2",
        '\'03/04/2026\' is not a time; set time_format: "%d/%m/%Y" (3 April) or "%m/%d/%Y" (4 March), and time_zone',
    )


async def test_words_for_nothing_are_nothing_in_every_column(folder: Folder) -> None:
    folder.write("a.csv", "id,opened_at,team,csat,Spent\n1,?,N/A,not rated,?\n2,?,it,0.5,3\n?,?,it,0.5,3\n")
    columns = {"Spent": Target(to="human_seconds", unit="minutes", nulls=("?", "-"))}
    await folder.poll(nulls=("?", "n/a", "Not Rated"), columns=columns)

    assert folder.request("1") == Request(id="1")
    assert folder.request("2") == Request(id="2", team="it", csat=0.5, human_seconds=180.0)
    assert [(each.place, each.faults[0].reason) for each in folder.left_out] == [("a.csv:4", "missing")]


async def test_nan_of_a_data_frame_is_nothing_where_it_is_a_word_for_nothing(folder: Folder) -> None:
    folder.write("a.jsonl", '{"id": "1", "csat": NaN, "team": "it"}\n')
    await folder.poll(nulls=("NaN",))

    assert folder.request("1") == Request(id="1", team="it")
    assert folder.left_out == []


async def test_a_column_is_mapped_and_has_a_word_for_the_others_and_one_for_none(folder: Folder) -> None:
    folder.write("a.csv", "id,State,Channel\n1,Solved,mail\n2,Pondering,\n3,,phone\n")
    columns = {
        "State": Target(to="outcome", map={"Solved": "resolved"}, otherwise="open"),
        "Channel": Target(to="channel", map={"mail": "email"}, default="portal"),
    }
    await folder.poll(columns=columns)

    assert [folder.request(key) for key in "123"] == [
        Request(id="1", outcome="resolved", channel="email"),
        Request(id="2", outcome="open", channel="portal"),
        Request(id="3", channel="phone"),
    ]


async def test_a_star_passes_over_all_others_also_repeated_and_nameless_ones(folder: Folder) -> None:
    folder.write("a.csv", ",id,Comment,category,Comment,Sprint\n0,1,first,billing,,7\n")
    await folder.poll(columns={"*": ""})

    assert folder.request("1") == Request(id="1", category="billing")


async def test_a_nameless_column_is_passed_over_wherever_it_stands(folder: Folder) -> None:
    folder.write("a.csv", ",id,,category\n0,1,x,billing\n")
    await folder.poll()

    assert folder.request("1") == Request(id="1", category="billing")


@pytest.mark.parametrize(("which", "found"), [("first", "hardware"), ("last", "urgent")])
async def test_of_repeated_columns_the_first_or_last_that_is_filled_counts(
    folder: Folder, which: Any, found: str
) -> None:
    folder.write("a.csv", "id,Labels,Labels,Labels,Labels\n1,,hardware,urgent,\n")

    assert await said(folder, columns={"Labels": "category"}) == (
        "a.csv:1: columns 2, 3, 4 and 5 are all called 'Labels'; write under columns which counts: "
        "Labels: { to: ..., repeated: first } (or last), or ignore them"
    )

    await folder.poll(columns={"Labels": Target(to="category", repeated=which)})

    assert folder.request("1").category == found


async def test_repeated_columns_of_several_texts_are_all_read(folder: Folder) -> None:
    folder.write("a.csv", "id,Owner,Owner,Owner\nw,ann,,ben\n")
    await folder.poll(record="workflow", columns={"Owner": "owners"})

    assert getattr(folder.stored["w"], "owners") == ("ann", "ben")  # noqa: B009 - of a workflow


async def test_all_unknown_columns_are_told_with_the_nearest_words_and_what_to_write(folder: Folder) -> None:
    folder.write("a.csv", "id,Priorty,Opened At,Notes,no\n1,x,x,x,x\n")

    assert (await said(folder)).partition("; known: ")[0] == (
        "a.csv:1: 4 unknown columns: 'Priorty' (nearest: priority), 'Opened At' (nearest: opened_at), 'Notes', 'no'; "
        'write what each fills, or "" to ignore it (fields and segments can still read it): '
        'columns: { Priorty: priority, Opened At: opened_at, Notes: "", "no": "" }; '
        'or add "*": "" to ignore all that are not named'
    )


async def test_what_stands_where_names_should_be_is_not_quoted_where_it_may_be_somebody(folder: Folder) -> None:
    folder.write("a.csv", "id,ann@customer.test\n1,x\n")

    assert "a.csv:1: unknown column a text of 17 characters; write" in await said(folder)


@pytest.mark.parametrize(("sign", "shown"), [(";", ";"), ("\t", "\\t"), ("|", "|")])
async def test_a_file_with_another_delimiter_says_which(folder: Folder, sign: str, shown: str) -> None:
    folder.write("a.csv", f"Ticket{sign}Opened, local{sign}Team\n1{sign}x{sign}it\n", ago=300)
    folder.write("b.csv", f"Ticket{sign}Opened{sign}Team\n1{sign}x{sign}it\n")
    with pytest.raises(NotUnderstood):
        await folder.poll()

    assert faults(folder) == [
        f'a.csv:1: the header is 2 columns by delimiter ","; set delimiter: "{shown}"',
        f'b.csv:1: the header is 1 column by delimiter ","; set delimiter: "{shown}"',
    ]


async def test_lines_before_the_header_are_told_and_passed_over(folder: Folder) -> None:
    folder.write("a.csv", 'Report "March\nby Ann, Ben\n\nid,category\n1,billing\n2\n')
    told = "a.csv:1: this is not the header, which seems to be line 4; set header_line: 4"

    folder.write("b.csv", "Report\n\nid,category\n3,billing\n")
    with pytest.raises(NotUnderstood):
        await folder.poll()

    assert faults(folder)[1:] == [told.replace("a.csv", "b.csv").replace("4", "3")]

    folder.cursor = {}
    await folder.poll("a.csv", header_line=4)

    assert folder.request("1").category == "billing"
    assert folder.unread == ["a.csv:6"]

    folder.write("a.csv", "3,billing\n", append=True)

    assert await folder.poll("a.csv", header_line=4) == 1


async def test_a_file_that_ends_before_its_header_is_told(folder: Folder) -> None:
    folder.write("a.csv", "id,category\n1,billing\n")

    assert await said(folder, header_line=9) == "a.csv: ends before line 9, which header_line says is the header"


def zipped(*members: tuple[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members:
            archive.writestr(name, text)
    return packed.getvalue()


@pytest.mark.parametrize("name", ["a.zip", "a.csv.zip"])
async def test_the_only_file_of_a_zip_is_read_and_read_again_when_it_changed(folder: Folder, name: str) -> None:
    folder.write(name, zipped(("__MACOSX/._a.csv", "x"), ("export/a.csv", "id\n1\n2\n")))

    assert await folder.poll() == 2
    assert await folder.poll() == 0

    folder.write(name, zipped(("export/a.csv", "id\n1\n2\n3\n")))
    await folder.poll()

    assert set(folder.stored) == {"1", "2", "3"}


async def test_a_zip_of_another_encoding_is_read(folder: Folder) -> None:
    folder.write("a.zip", zipped(("a.csv", GERMAN.encode("utf-16"))))
    await folder.poll(encoding="utf-16", decimal=",", columns=GERMAN_COLUMNS, **BERLIN)

    assert folder.request("1") == GERMAN_REQUEST


async def test_a_zip_half_written_is_left_for_next_time(folder: Folder) -> None:
    whole = zipped(("a.csv", "id\n1\n"))
    folder.write("a.csv.zip", whole[:-9], ago=5)

    assert await folder.poll() == 0
    assert faults(folder) == []

    folder.write("a.csv.zip", whole, ago=5)

    assert await folder.poll() == 1


WHOLE = zipped(("a.csv", "id,category\n"))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (zipped(("a.csv", "id\n"), ("b.csv", "id\n")), "a.csv: holds 2 files; only zip files with one can be read"),
        (WHOLE[:-8], "a.csv: this zip file is damaged"),
        (WHOLE[:40] + b"\xff\xff" + WHOLE[42:], "a.csv: this zip file is damaged"),
        (zipped(("[Content_Types].xml", "<x/>"), ("b", "x")), "a.csv: is a spreadsheet; set `format: xlsx`"),
        (zipped(("a.gz", gzip.compress(b"id\n"))), "a.csv: is packed twice; unpack it once"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.csv: is an old workbook (.xls), or one with a password"),
        (b"<html><table>", "a.csv: is a web page, whatever its name says; save it as .xlsx or CSV"),
    ],
)
async def test_what_is_no_export_is_named(folder: Folder, content: bytes, fault: str) -> None:
    folder.write("a.csv", content)

    assert (await said(folder)).startswith(fault)


async def test_a_zip_that_unpacks_without_measure_is_given_up(folder: Folder) -> None:
    path = folder.path / "a.jsonl.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.jsonl", "w") as member,
    ):
        for _ in range(300):
            member.write(b"x" * 1024 * 1024)
    folder.touch(path, 600)
    came, megabytes, text = await measured(path)

    assert "a.jsonl.zip" in text
    assert came == 0
    assert megabytes < 300


async def test_a_large_file_of_another_encoding_takes_little_memory(folder: Folder) -> None:
    path = folder.write("a.jsonl", (line("1", team="Büro") + line("2") * 500_000).encode("utf-16"))
    folder.touch(path, 600)
    came, megabytes, _ = await measured(path, encoding="utf-16")

    assert came == 500_001
    assert megabytes < 300


async def test_local_times_in_parquet_are_read_with_their_zone(folder: Folder) -> None:
    path = folder.path / "a.parquet"
    parquet(path, "i as id, timestamp '2026-03-30 10:00:00' as opened_at, date '2026-03-31' as Solved", 1)
    folder.touch(path, 600)

    assert await said(folder, columns={"Solved": "resolved_at"}) == (
        "a.parquet: columns 'opened_at', 'Solved' have no time zone; set time_zone, such as Europe/Berlin"
    )

    columns = {"Solved": Target(to="resolved_at", time_zone="UTC")}
    await folder.poll(columns=columns, time_zone="Europe/Berlin")

    assert folder.request("0") == Request(id="0", opened_at=OPENED, resolved_at=datetime(2026, 3, 31, tzinfo=UTC))


async def test_local_times_in_parquet_of_every_unit_are_read(folder: Folder) -> None:
    path = folder.path / "a.parquet"
    kinds = {"a": "timestamp_s", "b": "timestamp_ms", "c": "timestamp", "d": "timestamp_ns"}
    rows = [f"select '{key}' as id, '2026-03-30 10:00:00'::{kind} as {key}" for key, kind in kinds.items()]
    duckdb.execute(f"copy ({' union all by name '.join(rows)}) to '{path}'")
    folder.touch(path, 600)
    columns = dict(zip(kinds, ("opened_at", "resolved_at", "closed_at", "abandoned_at"), strict=True))
    await folder.poll(columns=columns, time_zone="Europe/Berlin")

    assert {getattr(folder.request(key), columns[key]) for key in kinds} == {OPENED}


def sheet(rows: Sequence[Sequence[Any]], more: Sequence[str] = (), state: str = "visible") -> bytes:
    """A workbook."""
    book, packed = openpyxl.Workbook(), io.BytesIO()
    page = book.active
    assert page is not None
    page.title = "Tickets"
    for row in rows:
        page.append(row)
    for title in more:
        book.create_sheet(title).sheet_state = state
    book.save(packed)
    return packed.getvalue()


TICKETS: list[list[Any]] = [
    ["Ticket", "Opened", "Rubrik", "Rating", "Notes", None],
    [1, datetime(2026, 3, 30, 10), "Störung", 4.5, "=1+1", None],  # noqa: DTZ001 - as spreadsheets have it
    [],
    [2, None, None, "not rated", None, None],
]
TICKET_COLUMNS: dict[str, Any] = {
    "Ticket": "id",
    "Opened": "opened_at",
    "Rubrik": "category",
    "Rating": Target(to="csat", scale=(1, 5)),
    "*": "",
}


async def test_a_spreadsheet_is_read_and_read_again_when_it_changed(folder: Folder) -> None:
    folder.write("a.xlsx", sheet(TICKETS, ["Hidden"], "hidden"))
    options: dict[str, Any] = {"columns": TICKET_COLUMNS, "time_zone": "Europe/Berlin", "nulls": ("not rated",)}

    assert await folder.poll(**options) == 2
    assert folder.request("1") == GERMAN_REQUEST
    assert folder.request("2") == Request(id="2")
    assert folder.skipped == 0
    assert await folder.poll(**options) == 0

    folder.write("a.xlsx", sheet([*TICKETS, [3]]))
    await folder.poll(**options)

    assert set(folder.stored) == {"1", "2", "3"}


async def test_a_time_of_a_spreadsheet_needs_a_zone_and_a_bare_number_its_format(folder: Folder) -> None:
    folder.write("a.xlsx", sheet([["id", "opened_at"], [1, datetime(2026, 3, 30, 10)], [2, 46111.5]]))  # noqa: DTZ001
    await folder.poll()

    assert [(each.place, each.faults[0].text) for each in folder.left_out] == [
        ("a.xlsx:2", "'2026-03-30T10:00:00' has no time zone; set time_zone, such as Europe/Berlin"),
        ("a.xlsx:3", "46111.5 may be days of a spreadsheet; set time_format: excel, or epoch_s for seconds"),
    ]

    folder.cursor = {}
    await folder.poll(time_zone="UTC", time_format="excel")

    assert folder.request("2").opened_at == datetime(2026, 3, 30, 12, tzinfo=UTC)


async def test_the_sheet_and_the_line_of_the_header_can_be_named(folder: Folder) -> None:
    folder.write("a.xlsx", sheet([["Report of March"], ["2026-03"], ["id", "category"], [1, "billing"]], ["Totals"]))

    assert await said(folder) == "a.xlsx: holds 2 sheets; say in `sheet` which is meant: 'Tickets', 'Totals'"
    assert await said(folder, sheet="Ticket") == "a.xlsx: there is no sheet 'Ticket'; it has 'Tickets', 'Totals'"

    await folder.poll(sheet="Tickets", header_line=3)

    assert folder.request("1").category == "billing"


async def test_a_spreadsheet_of_many_rows_comes_in_pages_and_takes_little_memory(folder: Folder) -> None:
    book = openpyxl.Workbook(write_only=True)
    page = book.create_sheet()
    page.append(["id", "category"])
    for number in range(40_000):
        page.append([number, f"category {number}"])
    path = folder.path / "a.xlsx"
    book.save(path)
    folder.touch(path, 600)
    came, megabytes, text = await measured(path)

    assert (came, text) == (40_000, "0")
    assert megabytes < 300


async def test_a_spreadsheet_that_unpacks_without_measure_is_given_up(folder: Folder) -> None:
    whole = sheet([["id", "category"], [1, "x"]])
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as given, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name in given.namelist():
            made.writestr(name, given.read(name) + b" " * (80_000_000 if "theme" in name else 0))
    folder.write("a.xlsx", packed.getvalue())

    assert await said(folder) == "a.xlsx: holds too much text for a spreadsheet (67,108,864 bytes); save it as CSV"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"id\n1\n", "a.xlsx: this zip file is damaged, or not all of it is there"),
        (zipped(("a.csv", "id\n1\n")), "a.xlsx: is no spreadsheet; name it by what it is"),
        (sheet([["id", "colour"], [1, "red"]]), "a.xlsx:1: unknown column 'colour'; write what each fills"),
    ],
)
async def test_a_spreadsheet_that_cannot_be_read_is_named(folder: Folder, content: bytes, fault: str) -> None:
    folder.write("a.xlsx", content)

    assert (await said(folder)).startswith(fault)


async def test_a_half_written_spreadsheet_is_left_until_it_is_still(folder: Folder) -> None:
    whole = sheet([["id"], [1]])
    folder.write("a.xlsx", whole[: len(whole) // 2], ago=5)

    assert await folder.poll() == 0

    folder.write("a.xlsx", whole, ago=5)

    assert await folder.poll() == 1


async def test_without_the_extra_a_spreadsheet_says_what_to_install(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)  # as Python has it where a package is not there
    folder.write("a.xlsx", sheet([["id"], [1]]))

    assert await said(folder) == (
        'a.xlsx: spreadsheets are read with openpyxl; pip install "outcome-exporter[xlsx]", or save it as CSV'
    )


async def test_columns_may_be_written_the_way_round_that_fields_are(folder: Folder) -> None:
    folder.write("a.csv", "Number,Group,Status,Solved at\n7,IT,Closed,2026-03-30T10:00:00Z\n8,HR,odd,\n")
    one_way = {
        "Number": "id",
        "Group": Target(to="team"),
        "Status": Target(to="outcome", map={"Closed": "resolved"}, otherwise="open"),
        "Solved at": "resolved_at",
    }
    other_way = {
        "id": Target(from_="Number"),
        "team": Target(from_="Group"),
        "outcome": Target(from_="Status", map={"Closed": "resolved"}, otherwise="open"),
        "resolved_at": Target(from_="Solved at"),
    }
    await folder.poll(columns=one_way)
    expected, folder.cursor, folder.stored = folder.stored, {}, {}
    await folder.poll(columns=other_way)

    assert {key: (record.team, folder.request(key).outcome) for key, record in expected.items()} == {
        "7": ("IT", "resolved"),
        "8": ("HR", "open"),
    }
    assert folder.stored == expected


@pytest.mark.parametrize("head", ["id,category", "Übung,id"])
@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-16"])
async def test_utf_16_is_read_with_a_mark_and_without_in_either_order_of_bytes(
    folder: Folder, codec: str, head: str
) -> None:
    folder.write("a.csv", f"{head}\n1,1\n".encode(codec))

    assert await said(folder, columns={"Übung": ""}) == "a.csv: is UTF-16; set encoding: utf-16"
    assert await folder.poll(columns={"Übung": ""}, encoding="utf-16") == 1
    assert folder.request("1").id == "1"


async def test_a_percent_sign_is_of_a_share_and_of_nothing_else(folder: Folder) -> None:
    folder.write("a.csv", 'id,csat,Stars,replies\n1,85 %,50%,3\n2,"85,5 %",101%,85 %\n')
    await folder.poll(decimal=",", columns={"Stars": Target(to="effort", scale=(0, 100))})

    assert (folder.request("1").csat, folder.request("1").effort, folder.request("1").replies) == (0.85, 0.5, 3)
    assert (folder.request("2").csat, folder.request("2").effort, folder.request("2").replies) == (0.855, None, None)


async def test_lengths_of_time_may_be_written_with_colons(folder: Folder) -> None:
    folder.write("a.csv", "id,Spent,Talk\n1,26:30,90:15\n2,1:30:15,1:30:15\n3,1.5,\n4,1:75,\n")
    columns = {
        "Spent": Target(to="human_seconds", unit="h:mm"),
        "Talk": Target(to="on_hold_seconds", unit="m:ss"),
    }
    await folder.poll(columns=columns)
    lengths = {key: (record.human_seconds, record.on_hold_seconds) for key in "1234" if (record := folder.request(key))}

    assert lengths == {"1": (95_400.0, 5_415.0), "2": (5_415.0, 5_415.0), "3": (None, None), "4": (None, None)}


async def test_a_length_of_time_of_a_spreadsheet_is_one_whatever_its_cell_shows(folder: Folder) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["id", "Spent", "Opened"])
    for row, (days, form) in enumerate([(26.5 / 24, "[h]:mm"), (1.5 / 24, "h:mm"), (26.5 / 24, "h:mm")], 2):
        book.active.append([row, days, days])
        book.active.cell(row, 2).number_format = book.active.cell(row, 3).number_format = form
    book.save(folder.path / "a.xlsx")
    folder.touch(folder.path / "a.xlsx", ago=120)
    columns = {"Spent": Target(to="human_seconds", unit="minutes"), "Opened": "opened_at"}
    await folder.poll(columns={**columns, "Opened": ""}, time_zone="UTC")

    assert [folder.request(key).human_seconds for key in "234"] == [95_400.0, 5_400.0, 95_400.0]

    folder.cursor = {}
    await folder.poll(columns=columns, time_zone="UTC")

    assert [each.faults[0].text for each in folder.left_out] == [
        "1 day, 2:30:00 is a time of day or a length, without a date",
        "1:30:00 is a time of day or a length, without a date",
        "1 day, 2:30:00 is a time of day or a length, without a date",
    ]


async def test_a_date_and_its_time_of_day_may_be_in_two_columns(folder: Folder) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["id", "Day", "Time"])
    book.active.append([2, datetime(2026, 3, 30), 10 / 24])  # noqa: DTZ001 - cells have no time zone
    book.active.cell(2, 3).number_format = "h:mm"
    book.save(folder.path / "b.xlsx")
    folder.touch(folder.path / "b.xlsx", ago=120)
    folder.write("a.csv", "id,Day,Time\n1,30.03.2026,10:00\n3,,10:00\n4,30.03.2026,\n")
    await folder.poll(columns={"Day": Target(to="opened_at", time_of_day="Time")}, **BERLIN)

    assert {key: folder.request(key).opened_at for key in "123"} == {"1": OPENED, "2": OPENED, "3": None}
    assert [(each.place, each.faults[0].text) for each in folder.left_out] == [
        ("a.csv:4", '\'30.03.2026\' does not fit time_format "%d.%m.%Y %H:%M"; by its looks it is "%d.%m.%Y"'),
    ]


async def test_an_id_may_be_made_of_several_columns(folder: Folder) -> None:
    folder.write("a.csv", "Day,Who,category\n30.03.2026,x,a\n30.03.2026,y,b\n,,c\n30.03.2026,x,d\n")
    await folder.poll(columns={"Day": "opened_at"}, id_columns=["Day", "Who"], **BERLIN_DAYS)

    assert sorted(getattr(each, "category", "") for each in folder.stored.values()) == ["b", "d"]
    assert [each.faults[0].text for each in folder.left_out] == ["there is nothing in 'Day' or 'Who'"]

    folder.write("b.jsonl", '{"Day": "30.03.2026"}\n')
    await folder.poll("*.jsonl", columns={"Day": "opened_at"}, id_columns=["Day", "Who"], **BERLIN_DAYS)

    assert [each.faults[0].text for each in folder.left_out] == ["there is no 'Who', which id_columns names"]
