"""Files that grow, turn, shrink, vanish, and hold nonsense."""

import csv
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.collect.http import Client, HttpSettings, NotUnderstood, Unavailable
from exporter.collect.mapping import compiled, team
from exporter.connectors import files
from exporter.connectors.files import Options
from exporter.records import Booking, Request, Workflow
from tests.connectors.files.folder import AT, OPENED, Folder, line, parquet


async def test_only_what_was_appended_is_read(folder: Folder) -> None:
    folder.write("a.jsonl", line("1") + line("2"))

    assert await folder.poll() == 2

    folder.write("a.jsonl", line("3"), append=True)

    assert await folder.poll() == 1
    assert await folder.poll() == 0
    assert set(folder.stored) == {"1", "2", "3"}


async def test_only_what_was_appended_to_csv_is_read(folder: Folder) -> None:
    folder.write("a.csv", "id,opened_at\n1,2026-03-30T10:00:00Z\n")

    assert await folder.poll() == 1

    folder.write("a.csv", "2,2026-03-30T12:00:00+02:00\n", append=True)

    assert await folder.poll() == 1
    assert folder.request("2").opened_at == OPENED


@pytest.mark.parametrize(("name", "head"), [("a.jsonl", ""), ("a.csv", "id,category\n")])
async def test_a_half_written_line_is_left_for_next_time(folder: Folder, name: str, head: str) -> None:
    whole = '{"id": "2", "category": "billing"}\n' if name == "a.jsonl" else "2,billing\n"
    first = whole.replace('"2"', '"1"').replace("2,", "1,")
    folder.write(name, head + first + whole[:-4], ago=5)

    assert await folder.poll() == 1
    assert folder.skipped == 0

    folder.write(name, whole[-4:], ago=5, append=True)

    assert await folder.poll() == 1
    assert folder.request("2").category == "billing"


@pytest.mark.parametrize(("name", "text"), [("a.jsonl", '{"id": "1"}'), ("a.csv", "id\n1")])
async def test_a_last_line_without_an_end_counts_once_the_file_is_still(folder: Folder, name: str, text: str) -> None:
    path = folder.write(name, text, ago=5)

    assert await folder.poll() == 0

    folder.touch(path, 300)

    assert await folder.poll() == 1
    assert await folder.poll() == 0


async def test_a_half_written_cell_with_line_breaks_is_left_for_next_time(folder: Folder) -> None:
    folder.write("a.csv", 'id,category\n1,"two\nlines"\n2,"half\n', ago=5)

    assert await folder.poll() == 1
    assert folder.request("1").category == "two lines"

    folder.write("a.csv", 'done"\n', ago=5, append=True)

    assert await folder.poll() == 1
    assert folder.request("2").category == "half done"


async def test_a_half_written_header_is_left_for_next_time(folder: Folder) -> None:
    folder.write("a.csv", "id,cat", ago=5)

    assert await folder.poll() == 0

    folder.write("a.csv", "egory\n1,billing\n", ago=5, append=True)

    assert await folder.poll() == 1


async def test_a_quote_that_is_never_closed_spoils_only_what_it_swallows(folder: Folder) -> None:
    folder.write("a.csv", 'id,category\n1,billing\n2,"oops\n')

    assert await folder.poll() == 1
    assert folder.skipped == 1
    assert await folder.poll() == 0


async def test_a_file_that_was_turned_is_read_on_under_its_new_name(folder: Folder) -> None:
    path = folder.write("a.jsonl", line("1") + line("2"))
    await folder.poll()
    folder.write("a.jsonl", line("3"), append=True)
    path.rename(folder.path / "a.jsonl.1")
    folder.write("a.jsonl", line("4"))

    assert await folder.poll() == 2
    assert set(folder.stored) == {"1", "2", "3", "4"}


async def test_a_truncated_file_is_read_from_its_beginning(folder: Folder) -> None:
    folder.write("a.jsonl", line("1") + line("2") + line("3"))
    await folder.poll()
    folder.write("a.jsonl", line("4"))

    assert await folder.poll() == 1
    assert set(folder.stored) == {"1", "2", "3", "4"}


async def test_a_truncated_file_that_grew_past_where_it_was_is_read_from_its_beginning(folder: Folder) -> None:
    folder.write("a.jsonl", line("1"))
    await folder.poll()
    folder.write("a.jsonl", line("2") + line("3"))

    assert await folder.poll() == 2


async def test_a_replaced_file_is_read_from_its_beginning(folder: Folder) -> None:
    folder.write("a.jsonl", line("1", outcome="open"))
    await folder.poll()
    folder.write("new", line("1", outcome="resolved") + line("2")).rename(folder.path / "a.jsonl")

    assert await folder.poll() == 2
    assert folder.request("1").outcome == "resolved"


async def test_a_row_changed_in_place_is_read_again(folder: Folder) -> None:
    folder.write("a.jsonl", line("1", csat=0.1) + line("2"))
    await folder.poll()
    folder.write("a.jsonl", line("1", csat=0.9) + line("2"))
    await folder.poll()

    assert folder.request("1").csat == 0.9


async def test_a_deleted_file_leaves_its_records_and_is_forgotten(folder: Folder) -> None:
    path = folder.write("a.jsonl", line("1"))
    folder.write("b.jsonl", line("2"))
    await folder.poll()
    path.unlink()

    assert await folder.poll() == 0
    assert set(folder.stored) == {"1", "2"}
    assert len(folder.cursor["files"]) == 1


async def test_a_file_with_two_names_is_read_once(folder: Folder) -> None:
    (folder.path / "b.jsonl").symlink_to(folder.write("a.jsonl", line("1")))

    assert await folder.poll() == 1


async def test_of_rows_with_one_id_the_one_written_last_counts(folder: Folder) -> None:
    folder.write("z.jsonl", line("1", outcome="open"), ago=900)
    folder.write("a.jsonl", line("1", outcome="open") + line("1", outcome="resolved"), ago=600)
    await folder.poll()

    assert folder.request("1").outcome == "resolved"


async def test_dying_in_the_middle_of_a_file_reads_on_from_there(folder: Folder) -> None:
    folder.write("a.jsonl", "".join(line(str(number)) for number in range(20)))

    assert await folder.poll(page_size=6, pages=2) == 12
    assert await folder.poll(page_size=6) == 8


async def test_no_file_is_said_with_the_pattern(folder: Folder) -> None:
    with pytest.raises(Unavailable, match=r"no file matches .*/\*\.jsonl"):
        await folder.poll("*.jsonl")


async def test_an_unreadable_file_is_said_with_its_name(folder: Folder) -> None:
    (folder.path / "a.jsonl").symlink_to("/proc/self/mem")

    with pytest.raises(Unavailable, match=r"/a\.jsonl: Input/output error"):
        await folder.poll()


async def test_a_folder_in_the_glob_is_passed_over(folder: Folder) -> None:
    (folder.path / "old.jsonl").mkdir()
    folder.write("a.jsonl", line("1"))

    assert await folder.poll() == 1


async def test_folders_below_are_found_by_two_stars(folder: Folder) -> None:
    (folder.path / "x" / "y").mkdir(parents=True)
    folder.write("x/y/a.jsonl", line("1"))

    assert await folder.poll("**/*.jsonl") == 1


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        "null",
        '"text"',
        '{"opened_at": "2026-03-30T10:00:00Z"}',
        '{"id": null}',
        '{"id": ""}',
        '{"id": true}',
        '{"id": {}}',
        '{"id": "2", "opened_at": "2026-03-30T10:00:00"}',
        '{"id": "2", "opened_at": "yesterday"}',
        '{"id": "2", "opened_at": "2026-03-30"}',
        '{"id": "2", "opened_at": "9999-12-31T23:59:59-12:00"}',
        '{"id": "2", "outcome": "pondering"}',
        '{"id": "\\u0000"}',
    ],
)
async def test_a_row_without_what_places_it_is_left_out_with_its_place(folder: Folder, bad: str) -> None:
    folder.write("a.jsonl", line("1") + "\n" + bad + "\n" + line("3"))
    await folder.poll()

    assert set(folder.stored) == {"1", "3"}
    assert folder.skipped == 1
    assert folder.unread == ["a.jsonl:3"]


@pytest.mark.parametrize(
    "bad",
    [
        '{"id": "2", "csat": 5}',
        '{"id": "2", "csat": "good"}',
        '{"id": "2", "reopen_count": 1.5}',
        '{"id": "2", "reopen_count": 1e300}',
        '{"id": "2", "human_seconds": -1}',
        '{"id": "2", "category": {}}',
        '{"id": "2", "self_service": "perhaps"}',
        '{"id": "2", "csat": NaN}',
    ],
)
async def test_a_value_that_cannot_be_read_costs_that_value(folder: Folder, bad: str) -> None:
    folder.write("a.jsonl", line("1") + bad + "\n" + line("3"))
    reads = await folder.poll()

    assert reads == 3
    assert folder.stored["2"] == Request(id="2")


async def test_line_numbers_go_on_where_the_file_was_left(folder: Folder) -> None:
    folder.write("a.csv", "id,category\n1,billing\n")
    await folder.poll()
    folder.write("a.csv", "2,billing\n3\n", append=True)
    await folder.poll()

    assert folder.unread == ["a.csv:4"]


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("a.jsonl", line("1") + line("2", colour="red"), "a.jsonl:2"),
        ("a.csv", "id,colour\n1,red\n", "a.csv:1"),
        ("a.csv", "id,source\n1,red\n", "a.csv:1"),
    ],
)
async def test_an_unknown_column_is_named_with_the_columns_known(
    folder: Folder, name: str, text: str, where: str
) -> None:
    folder.write(name, text)

    with pytest.raises(NotUnderstood, match=rf"{where}: unknown column '(colour|source)'; .*known: id, .*opened_at"):
        await folder.poll()


async def test_two_columns_of_one_name_are_refused(folder: Folder) -> None:
    folder.write("a.csv", "id,category,category\n")

    with pytest.raises(NotUnderstood, match=r"a\.csv:1: columns 2 and 3 are all called 'category'"):
        await folder.poll()


async def test_other_encodings_than_utf_8_are_refused(folder: Folder) -> None:
    folder.write("a.csv", "id,category\n1,Büro\n".encode("latin-1"))

    with pytest.raises(NotUnderstood, match=r"a\.csv:2: not UTF-8"):
        await folder.poll()


async def test_an_unknown_ending_is_refused_unless_the_format_is_set(folder: Folder) -> None:
    folder.write("a.txt", line("1"))

    with pytest.raises(NotUnderstood, match=r"a\.txt: the format is not known from the file name"):
        await folder.poll()
    assert await folder.poll(format="json_lines") == 1


async def test_an_empty_file_holds_nothing(folder: Folder) -> None:
    for name in ("a.jsonl", "a.csv"):
        folder.write(name, "")

    assert await folder.poll() == 0


async def test_a_byte_order_mark_is_passed_over(folder: Folder) -> None:
    folder.write("a.csv", "\ufeffid,category\r\n1,billing\r\n")
    await folder.poll()

    assert folder.request("1").category == "billing"


async def test_an_empty_cell_is_none_and_a_delimiter_may_be_set(folder: Folder) -> None:
    folder.write("a.csv", "id;reopen_count;self_service;csat\n1;;yes;0.5\n")
    await folder.poll(delimiter=";")

    assert folder.request("1") == Request(id="1", self_service=True, csat=0.5)


async def test_several_texts_in_a_cell_are_parted_by_semicolons(folder: Folder) -> None:
    folder.write("a.csv", "id,name,owners\nw,Sync,ann;ben\n")
    await folder.poll(record="workflow")

    assert folder.stored["w"] == Workflow(id="w", name="Sync", owners=("ann", "ben"))


async def test_columns_are_renamed_or_passed_over_and_the_row_is_handed_on_as_it_was(folder: Folder) -> None:
    folder.write("a.jsonl", '{"key": 17, "opened_at": null, "department": "it", "notes": "x"}\n')
    await folder.poll(columns={"key": "id", "department": "team", "notes": ""})

    assert folder.stored["17"] == Request(id="17", team="it")
    assert folder.items == [{"key": 17, "opened_at": None, "department": "it", "notes": "x"}]


LINES = '"two\nlines"'
TEXTS = {
    "a.csv": "id,category\n" + "".join(f"r{number},{LINES if number % 2 else 'billing'}\n" for number in range(9)),
    "a.jsonl": "".join(line(f"r{number}", category="b\u00fcro" * number) for number in range(9)),
}


@pytest.mark.parametrize("name", sorted(TEXTS))
@given(cuts=st.sets(st.integers(1, 300), max_size=6), page_size=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
async def test_however_a_file_grows_each_row_is_read_once(name: str, cuts: set[int], page_size: int) -> None:
    whole = TEXTS[name].encode()
    with TemporaryDirectory() as path:
        folder, rows = Folder(Path(path)), 0
        for began, ended in pairwise([0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]):
            folder.write(name, whole[began:ended], ago=5, append=True)
            rows += await folder.poll(page_size=page_size)

    assert rows == 9
    assert set(folder.stored) == {f"r{number}" for number in range(9)}
    assert folder.skipped == 0


async def test_long_ids_are_not_cut(folder: Folder) -> None:
    folder.write("a.jsonl", line("x" * 150 + "1") + line("x" * 150 + "2"))

    assert await folder.poll() == 2
    assert len(folder.stored) == 2


async def test_parquet_is_read_and_read_again_when_it_changed(folder: Folder) -> None:
    path = folder.path / "a.parquet"
    parquet(
        path,
        "i as id, timestamptz '2026-03-30 12:00:00+02' as opened_at, 'nan'::double as csat, 1.5::decimal(9,2) as spent",
    )
    folder.touch(path, 600)

    assert await folder.poll(columns={"spent": "human_seconds"}, page_size=2) == 3
    assert folder.request("0") == Request(id="0", opened_at=OPENED, human_seconds=1.5)
    assert await folder.poll(columns={"spent": "human_seconds"}) == 0

    parquet(path, "i as id, 'resolved' as outcome")
    folder.touch(path, 500)

    assert await folder.poll() == 3
    assert folder.request("0").outcome == "resolved"


async def test_dying_in_the_middle_of_parquet_reads_it_again(folder: Folder) -> None:
    path = folder.path / "a.parquet"
    parquet(path, "i as id", 10)
    folder.touch(path, 600)

    assert await folder.poll(page_size=4, pages=2) == 8
    assert await folder.poll(page_size=4) == 10
    assert await folder.poll() == 0


async def test_parquet_names_with_signs_of_a_glob_are_plain_names(folder: Folder) -> None:
    path = folder.path / "a[1]*.parquet"
    parquet(path, "i as id")
    parquet(folder.path / "a1x.csv", "i as id")
    folder.touch(path, 600)

    assert await folder.poll("*.parquet") == 3


async def test_times_without_a_zone_in_parquet_are_refused(folder: Folder) -> None:
    path = folder.path / "a.parquet"
    parquet(path, "i as id, timestamp '2026-03-30 12:00:00' as opened_at")

    with pytest.raises(NotUnderstood, match=r"a\.parquet: column 'opened_at' has no time zone"):
        await folder.poll()


async def test_unknown_columns_in_parquet_are_refused(folder: Folder) -> None:
    parquet(folder.path / "a.parquet", "i as id, i as colour")

    with pytest.raises(NotUnderstood, match=r"a\.parquet: unknown column 'colour'"):
        await folder.poll()


async def test_half_written_parquet_is_left_until_it_is_still(folder: Folder) -> None:
    path = folder.path / "a.parquet"
    parquet(path, "i as id")
    whole = path.read_bytes()
    folder.write("a.parquet", whole[: len(whole) // 2], ago=5)

    assert await folder.poll() == 0

    folder.touch(path, 600)
    with pytest.raises(NotUnderstood, match=r"a\.parquet: not readable as Parquet"):
        await folder.poll()

    folder.write("a.parquet", whole, ago=500)

    assert await folder.poll() == 3


async def test_many_rows_come_in_pages(folder: Folder) -> None:
    path = folder.path / "a.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["id"], *([number] for number in range(12_345))])
    folder.touch(path, 600)
    sizes = []
    async with Client(HttpSettings(url=""), at=AT, since=AT) as client:
        async for page in files.poll(client, Options(path=str(path), record="booking"), {}):
            sizes.append(len(page.reads))
            assert all(isinstance(read.record, Booking) for read in page.reads)

    assert [size for size in sizes if size] == [5_000, 5_000, 2_345]


async def test_a_file_written_to_while_it_is_read_is_read_to_its_end_by_the_next_poll(folder: Folder) -> None:
    folder.write("a.jsonl", "".join(line(str(number)) for number in range(10)), ago=5)
    options = Options(path=str(folder.path / "*"), record="request", page_size=4)
    async with Client(HttpSettings(url=""), at=AT, since=AT) as client:
        async for page in files.poll(client, options, {}):
            folder.stored |= {read.record.id: read.record for read in page.reads}
            folder.cursor = page.cursor
            if len(folder.stored) == 4:
                folder.write("a.jsonl", line("10") + line("11"), ago=4, append=True)
    await folder.poll()

    assert set(folder.stored) == {str(number) for number in range(12)}


async def test_a_row_left_out_is_still_its_teams(folder: Folder) -> None:
    folder.write("a.csv", "id,opened_at,outcome,team\n1,2026-03-30T10:00:00Z,pondering,Sales\n")
    await folder.poll()
    found = [team(each, compiled({}, [Request])) for each in folder.left_out]

    assert found == ["Sales"]
