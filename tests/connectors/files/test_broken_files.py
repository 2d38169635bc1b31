"""Files that are damaged, packed, locked, endless or none at all: the others are read, and what is wrong is named."""

import asyncio
import gzip
import json
import os
import sys
from pathlib import Path

import duckdb
import pytest

from exporter.collect.http import NotUnderstood, Unavailable
from tests.connectors.files.folder import AT, Folder, line, parquet


def faults(folder: Folder) -> list[str]:
    """What the last poll has named, without the folder."""
    return [text.removeprefix(f"{folder.path}/") for text in folder.cursor["faults"]]


def rows(first: int, last: int) -> str:
    return "".join(f"r{number},billing,web\n" for number in range(first, last + 1))


async def test_a_stray_quote_costs_its_line_and_not_the_500_behind_it(folder: Folder) -> None:
    folder.write("a.csv", "id,category,channel\n" + rows(1, 9) + 'r10,"billing,web\n' + rows(11, 510))

    assert await folder.poll() == 509
    assert folder.skipped == 1
    assert "r10" not in folder.stored
    assert folder.unread == ["a.csv:11"]


async def test_two_stray_quotes_cost_their_lines_and_none_between(folder: Folder) -> None:
    text = "id,category,channel\nr1,x,web\n" + 'r2,"x,web\n' + rows(3, 40) + 'r41,"x,web\n' + rows(42, 50)
    folder.write("a.csv", text)
    await folder.poll()

    assert folder.unread == ["a.csv:3", "a.csv:42"]
    assert len(folder.stored) == 48


async def test_quotes_that_close_each_other_over_rows_are_found_by_the_rows_between(folder: Folder) -> None:
    folder.write("a.csv", "id,category,channel\n" + 'r1,",web\n' + rows(2, 6) + 'r7,",web\n' + rows(8, 9))
    await folder.poll()

    assert set(folder.stored) == {f"r{number}" for number in (2, 3, 4, 5, 6, 8, 9)}
    assert folder.skipped == 2


async def test_a_stray_quote_in_a_file_that_is_being_written_holds_up_a_thousand_lines_at_most(folder: Folder) -> None:
    folder.write("a.csv", 'id,category,channel\nr1,"billing,web\n' + rows(2, 900), ago=5)

    assert await folder.poll() == 0
    assert folder.skipped == 0

    folder.write("a.csv", rows(901, 1200), ago=5, append=True)

    assert await folder.poll() == 1199
    assert folder.skipped == 1


async def test_a_cell_of_many_lines_is_a_cell(folder: Folder) -> None:
    text = "\n".join(f"line {number}, and so on" for number in range(900))
    folder.write("a.csv", f'id,category,channel\n1,billing,web\n2,"{text}",web\n3,billing,web\n')

    assert await folder.poll() == 3
    assert folder.skipped == 0


async def test_a_long_cell_is_a_cell(folder: Folder) -> None:
    folder.write("a.csv", "id,notes\n1," + "x" * 1_000_000 + "\n")

    assert await folder.poll(columns={"notes": ""}) == 1


async def test_a_stray_quote_in_the_header_is_named(folder: Folder) -> None:
    folder.write("a.csv", 'id,"category\n1,billing\n')

    with pytest.raises(NotUnderstood, match=r"a\.csv:1: the header cannot be read: unexpected end of data"):
        await folder.poll()


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.csv", "id,colour\n1,red\n", "a.csv:1: unknown column 'colour'"),
        ("a.jsonl", '{"id": "1", "colour": 1}\n', "a.jsonl:1: unknown column 'colour'"),
        ("a.csv", "id,category\n1,Büro\n".encode("latin-1"), "a.csv:2: not UTF-8; set encoding: cp1252"),
        ("a.csv", "id,category\n1,x\n".encode("utf-16"), "a.csv: is UTF-16; set encoding: utf-16"),
        ("a.csv", b"PK\x03\x04 and so on", "a.csv: this zip file is damaged, or not all of it is there"),
        ("a.csv", 'id,"category\n', "a.csv:1: the header cannot be read"),
        ("a.csv", "id,category,category\n", "a.csv:1: columns 2 and 3 are all called 'category'"),
        (
            "a.csv.gz",
            gzip.compress(f"id,category,channel\n{rows(1, 9999)}".encode())[:-100],
            "a.csv.gz: this gzip file ends in the middle",
        ),
        ("a.csv.gz", b"\x1f\x8b" + b"\x07" * 50, "a.csv.gz: this gzip file is damaged"),
        ("a.parquet", b"PAR1 and so on", "a.parquet: not readable as Parquet"),
        ("a.txt", "id\n1\n", "a.txt: the format is not known from the file name; known endings: "),
        ("a.json", '[{"id": "1"},\n', "a.json: neither JSON Lines (one object per line) nor a single JSON list"),
    ],
)
async def test_a_file_that_cannot_be_read_is_named_and_the_newer_ones_are_read(
    folder: Folder, name: str, content: str | bytes, fault: str
) -> None:
    bad = folder.write(name, content, ago=900)
    folder.write("good.jsonl", line("good"), ago=600)

    await folder.poll()

    assert "good" in folder.stored
    assert [text[: len(fault)] for text in faults(folder)] == [fault]
    assert folder.partial.startswith(f"1 file cannot be read, the others are: {folder.path}/{fault}")

    bad.unlink()
    await folder.poll()

    assert faults(folder) == []


async def test_a_file_that_may_not_be_read_is_named_until_it_may(folder: Folder) -> None:
    folder.write("good.jsonl", line("good"))
    (folder.path / "a.jsonl").symlink_to("/proc/self/mem")

    assert await folder.poll() == 1
    assert faults(folder) == ["a.jsonl: Input/output error"]


async def test_rows_before_a_fault_are_read_once_and_those_behind_it_when_it_is_mended(folder: Folder) -> None:
    folder.write("a.jsonl", line("1") + line("2", colour="red") + line("3"))
    folder.write("b.jsonl", line("4"))

    assert await folder.poll() == 2
    assert await folder.poll() == 0

    folder.write("a.jsonl", line("1") + line("2") + line("3"))
    await folder.poll()

    assert set(folder.stored) == {"1", "2", "3", "4"}
    assert faults(folder) == []


async def test_a_source_of_which_nothing_can_be_read_has_failed(folder: Folder) -> None:
    folder.write("a.csv", "id,colour\n1,red\n")
    folder.write("b.csv", "id,colour\n1,red\n")

    with pytest.raises(NotUnderstood, match="unknown column 'colour'"):
        await folder.poll()


@pytest.mark.parametrize(("name", "head"), [("a.jsonl", ""), ("a.csv", "id,notes\n")])
async def test_a_line_of_eight_megabytes_costs_that_line(folder: Folder, name: str, head: str) -> None:
    row = ('{{"id": "{}", "notes": "{}"}}\n' if name == "a.jsonl" else "{},{}\n").format
    folder.write(name, head + row("1", "x") + row("2", "x" * 9_000_000) + row("3", "x"))

    assert await folder.poll(columns={"notes": ""}) == 2
    assert set(folder.stored) == {"1", "3"}
    assert folder.skipped == 1


async def test_a_byte_order_mark_in_json_lines_is_passed_over(folder: Folder) -> None:
    folder.write("a.jsonl", "\ufeff" + line("1") + line("2"))
    folder.write("b.json", "\ufeff[" + line("3") + "]")

    assert await folder.poll() == 3
    assert folder.skipped == 0


async def test_a_byte_order_mark_before_a_quoted_name_is_passed_over(folder: Folder) -> None:
    folder.write("a.csv", '\ufeff"id","category"\n"1","billing"\n')

    assert await folder.poll() == 1


@pytest.mark.parametrize(
    "text",
    [
        '[{"id": "1"}, {"id": "2"}]',
        '[{"id": "1", "csat": NaN}, {"id": "2"}]',
        '[\n  {"id": "1"},\n  {"id": "2"}\n]\n',
        '{"total": 2, "value": [{"id": "1"}, {"id": "2"}]}\n',
        '{\n  "total": 2,\n  "empty": {},\n  "issues": [\n    {"id": "1"},\n    {"id": "2"}\n  ]\n}',
    ],
)
async def test_one_list_of_objects_or_an_object_around_one_is_read(folder: Folder, text: str) -> None:
    folder.write("a.json", text)

    assert await folder.poll() == 2
    assert set(folder.stored) == {"1", "2"}
    assert await folder.poll() == 0


@pytest.mark.parametrize("around", ["[%s]\n", '{"items": [%s]}'], ids=["a list", "an object around one"])
async def test_a_list_that_grew_is_read_whole_again(folder: Folder, around: str) -> None:
    folder.write("a.json", around % '{"id": "1"}')
    first = await folder.poll()
    folder.write("a.json", around % '{"id": "1"}, {"id": "2"}')

    assert (first, await folder.poll(), folder.skipped) == (1, 2, 0)
    assert sorted(folder.stored) == ["1", "2"]


async def test_what_is_added_behind_a_line_that_is_too_long_is_read(folder: Folder) -> None:
    folder.write("a.jsonl", line("1") + "x" * 9_000_000 + "\n")
    await folder.poll()
    folder.write("a.jsonl", line("2"), append=True)
    await folder.poll()

    assert sorted(folder.stored) == ["1", "2"]


async def test_a_list_half_written_is_left_for_next_time(folder: Folder) -> None:
    folder.write("a.json", '[{"id": "1"},\n', ago=5)
    folder.write("b.json", '{\n"items": [{"id": "2"},\n', ago=5)

    assert await folder.poll() == 0
    assert faults(folder) == []

    folder.write("a.json", '{"id": "3"}]', ago=5, append=True)
    folder.write("b.json", '{"id": "4"}]}', ago=5, append=True)

    assert await folder.poll() == 4


async def test_one_row_with_a_list_in_it_is_a_row(folder: Folder) -> None:
    folder.write("a.jsonl", '{"id": "1", "comments": [{"id": "c1"}]}\n')

    assert await folder.poll(columns={"comments": ""}) == 1
    assert set(folder.stored) == {"1"}


@pytest.mark.slow
async def test_one_json_value_of_more_than_64_megabytes_is_named(folder: Folder) -> None:
    folder.write("a.json", b"[" + b'{"id": "1"},\n' * 6_000_000)
    folder.write("b.json", '[{"id": "1"}]')
    await folder.poll()

    assert faults(folder) == ["a.json: one JSON value of more than 67108864 bytes; write one object per line"]


async def test_columns_without_a_name_at_the_end_are_passed_over(folder: Folder) -> None:
    folder.write("a.csv", "id,category,,\n1,billing,,\n2,billing,,note\n3,billing\n")

    assert await folder.poll() == 3
    assert folder.skipped == 0


async def test_an_empty_cell_behind_the_last_column_is_passed_over(folder: Folder) -> None:
    folder.write("a.csv", "id,category\n1,billing,\n2,billing,note\n")
    await folder.poll()

    assert set(folder.stored) == {"1"}
    assert folder.skipped == 1


async def test_a_name_that_is_passed_over_may_stand_over_several_columns(folder: Folder) -> None:
    folder.write("a.csv", "id,Comment,category,Comment\n1,first,billing,\n")
    await folder.poll(columns={"Comment": ""})

    assert folder.request("1").category == "billing"
    assert folder.items == [{"id": "1", "Comment": ["first", ""], "category": "billing"}]


@pytest.mark.parametrize(("name", "head"), [("a.jsonl.gz", ""), ("a.csv.1.gz", "id\n"), ("packed.csv", "id\n")])
async def test_gzip_is_read_once_and_again_when_it_changed(folder: Folder, name: str, head: str) -> None:
    row = '{{"id": "{}"}}\n'.format if "jsonl" in name else "{}\n".format
    folder.write(name, gzip.compress((head + row(1) + row(2)).encode()), ago=5)

    assert await folder.poll() == 2
    assert await folder.poll() == 0

    folder.write(name, gzip.compress((head + row(1) + row(2) + row(3)).encode()), ago=5)
    await folder.poll()

    assert set(folder.stored) == {"1", "2", "3"}


async def test_dying_in_the_middle_of_gzip_reads_on_from_there(folder: Folder) -> None:
    folder.write("a.jsonl.gz", gzip.compress("".join(line(str(number)) for number in range(20)).encode()))

    assert await folder.poll(page_size=6, pages=2) == 12
    assert await folder.poll(page_size=6) == 8


async def test_gzip_half_written_is_read_as_far_as_it_is_there(folder: Folder) -> None:
    whole = gzip.compress("".join(line(str(number), category=os.urandom(20).hex()) for number in range(2000)).encode())
    folder.write("a.jsonl.gz", whole[: len(whole) // 2], ago=5)
    first = await folder.poll()

    assert 0 < first < 2000
    assert faults(folder) == []

    folder.write("a.jsonl.gz", whole[len(whole) // 2 :], ago=5, append=True)

    assert first + await folder.poll() == 2000


async def test_files_without_rows_hold_nothing(folder: Folder) -> None:
    for name, content in {
        "a.csv": b"",
        "b.csv": b"id,category\n",
        "c.csv": b"\n\n",
        "d.jsonl": b"\n \n",
        "e.json": b"[]",
        "f.csv.gz": gzip.compress(b""),
        "g.csv.gz": b"",
    }.items():
        folder.write(name, content)

    assert await folder.poll() == 0
    assert faults(folder) == []
    assert folder.cursor["rest"] == []


async def test_pipes_and_folders_and_links_to_nowhere_are_passed_over(folder: Folder) -> None:
    os.mkfifo(folder.path / "pipe.csv")
    (folder.path / "folder.csv").mkdir()
    (folder.path / "nowhere.csv").symlink_to(folder.path / "nothing")
    folder.write("a.csv", "id\n1\n")

    assert await folder.poll("*.csv") == 1
    assert faults(folder) == []


async def test_links_in_a_circle_are_named_or_followed_once(folder: Folder) -> None:
    (folder.path / "x").mkdir()
    for name in ("one", "two", "three"):
        (folder.path / "x" / name).symlink_to(folder.path)
    (folder.path / "self.csv").symlink_to(folder.path / "self.csv")
    folder.write("x/a.csv", "id\n1\n")

    assert await folder.poll("**/*.csv") == 1
    assert faults(folder) == ["self.csv: Too many levels of symbolic links"]


async def test_hidden_files_are_passed_over_unless_asked_for(folder: Folder) -> None:
    folder.write(".a.csv.draft", "id\n1\n")
    folder.write("a.csv", "id\n2\n")

    assert await folder.poll("*") == 1
    assert await folder.poll(".*", format="csv") == 1


async def test_no_folder_is_said_with_the_pattern(folder: Folder) -> None:
    with pytest.raises(Unavailable, match=r"no file matches .*/nothing/\*\.csv"):
        await folder.poll("nothing/*.csv")


async def test_many_files_share_pages(folder: Folder) -> None:
    for number in range(300):
        folder.write(f"{number}.jsonl", line(str(number)))

    assert await folder.poll(page_size=100, pages=2) == 200
    assert await folder.poll(page_size=100, pages=1) == 100
    assert len(folder.stored) == 300


async def test_dying_after_any_page_over_many_files_reads_each_row_once(folder: Folder) -> None:
    for number in range(7):
        folder.write(f"{number}.jsonl", "".join(line(f"{number}-{row}") for row in range(5)))
    read = 0
    while rows_of_a_page := await folder.poll(page_size=3, pages=1):
        read += rows_of_a_page

    assert read == 35
    assert len(folder.stored) == 35


MEASURE = """
import asyncio, json, resource, sys
from datetime import UTC, datetime
from exporter.collect.http import Client, HttpSettings
from exporter.connectors import files

options = json.loads(sys.argv[2])

async def main():
    async with Client(HttpSettings(url=""), at=datetime.now(UTC), since=datetime.now(UTC)) as client:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        rows = text = 0
        try:
            async for page in files.poll(client, files.Options(path=sys.argv[1], record="request", **options), {}):
                rows += len(page.reads)
        except Exception as error:
            text = str(error)
        print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, text)

asyncio.run(main())
"""


async def measured(path: Path, **options: str) -> tuple[int, int, str]:
    """Rows, megabytes that a poll of its own process took, and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MEASURE, str(path), json.dumps(options), stdout=asyncio.subprocess.PIPE
    )
    answer = (await process.communicate())[0].decode()
    came, megabytes, text = answer.split(" ", 2)
    return int(came), int(megabytes), text.strip()


@pytest.mark.slow
async def test_two_kilobytes_of_parquet_that_hold_gigabytes_take_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    duckdb.execute(
        "copy (select i::varchar as id, repeat('x', 1000000) as category from range(4000) t(i))"
        f" to '{path}' (compression zstd)"
    )

    assert path.stat().st_size < 10_000

    came, megabytes, text = await measured(path)

    assert came == 0
    assert text.endswith(
        "a.parquet: unpacks to more than 200 times its size, more than any export does; check the file"
    )
    assert megabytes < 400


@pytest.mark.slow
async def test_long_rows_of_parquet_are_read_few_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    duckdb.execute(
        "copy (select i::varchar as id, repeat('x', 1000000) as category from range(200) t(i))"
        f" to '{path}' (compression zstd)"
    )
    came, megabytes, text = await measured(path)

    assert (came, text) == (200, "0")
    assert megabytes < 400


@pytest.mark.slow
async def test_lists_in_parquet_that_hold_gigabytes_take_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    duckdb.execute(
        "copy (select i::varchar as id, list_transform(range(100000), lambda x: 7) as tags from range(2500) t(i))"
        f" to '{path}' (compression zstd)"
    )
    came, megabytes, text = await measured(path)

    assert came == 0
    assert "a.parquet" in text
    assert megabytes < 700


@pytest.mark.slow
async def test_gzip_that_unpacks_without_measure_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(300):
            file.write(b"x" * 1024 * 1024)
    os.utime(path, (AT.timestamp() - 900, AT.timestamp() - 900))
    came, megabytes, text = await measured(path)

    assert "a.jsonl.gz" in text
    assert megabytes < 300
    assert came == 0


@pytest.mark.slow
async def test_parquet_of_many_rows_comes_in_pages_in_its_order(folder: Folder) -> None:
    path = folder.path / "a.parquet"
    parquet(path, "i as id, i // 10 as category", 45_000)
    folder.touch(path, 600)

    assert await folder.poll(page_size=7_000) == 45_000
    assert [item["id"] for item in folder.items] == list(range(45_000))


def test_a_cursor_of_the_version_before_is_understood(folder: Folder) -> None:
    text = line("1") + line("2")
    path = folder.write("a.jsonl", text)
    asyncio.run(folder.poll())
    files = json.loads(json.dumps(folder.cursor["files"]))
    folder.cursor = {"files": files, "unread": []}
    with path.open("a") as file:
        file.write(line("3"))
    folder.touch(path, 60)

    assert asyncio.run(folder.poll()) == 1
