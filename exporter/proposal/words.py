"""Guesses what the words of a file mean: maps of words, ratings, units and words for nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from exporter.proposal.columns import SOME, Fit, Match, word_of, yes_or_no
from exporter.proposal.numbers import Signs, is_length, is_number, number, scale_of
from exporter.proposal.sample import Sample
from exporter.proposal.tables import is_nothing, meant, stem, unit
from exporter.proposal.times import ahead
from exporter.records import RECORDS, VITAL_COLUMNS
from exporter.records.columns import BOOLEANS, COLUMNS, Column
from exporter.records.notation import Length

MOST_WORDS = 40  # of a column; what has more is no column of words
ENDED = 0.5  # the share of a word's requests that have an end, so that the word is taken for one of ended requests
Rule = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """What a column of theirs fills, and how it is read: keys of a rule."""

    theirs: str
    column: str
    rule: Rule = field(default_factory=dict)
    notes: Sequence[str] = ()  # guesses, for people
    of_words: Mapping[str, str] = field(default_factory=dict)  # word in the map -> what is guessed of it
    unknown: Sequence[str] = ()  # words of which nobody knows what they mean


def entries(sample: Sample, fit: Fit, signs: Signs) -> list[Entry]:
    """Every column that is filled, with its rule as far as it is not about times."""
    record = RECORDS[fit.record]
    found: list[Entry] = []
    for name, matches in fit.of.items():
        column = COLUMNS[record][name]
        for match in flags_first(matches):
            found.append(_entry(sample, fit, column, match, signs))
    return found


def flags_first(matches: Sequence[Match]) -> list[Match]:
    """Of several columns that say how something ended, those that say one thing only come first."""
    return sorted(matches, key=lambda each: not each.name.word)


def _entry(sample: Sample, fit: Fit, column: Column, match: Match, signs: Signs) -> Entry:
    words = distinct(sample, match.theirs)
    notes = [f"{column.name} may also be another column"] if match.name.guess and column.name == "id" else []
    if match.name.guess and column.name != "id":
        notes = [f"{match.theirs} may mean something else than {column.name}"]
    clock = sample.times_of_day.get(match.theirs)
    rule = {"time_of_day": clock} if clock else _repeated(sample, match.theirs)
    if clock and stem(clock) and not ahead(match.theirs):
        notes.append(f"{clock} is taken for the time of day, not for a length of time")
    entry = Entry(match.theirs, column.name, rule, notes)
    if match.name.word:
        return _flag(fit, entry, match, words)
    if column.kind == "boolean":
        return _yes_or_no(fit.record, entry, match, words)
    if column.words:
        return _worded(sample, fit, entry, column, words)
    if column.name == "csat":
        return _rating(entry, words, signs)
    if column.name.endswith("_seconds"):
        return _length(entry, words)
    return entry


def distinct(sample: Sample, name: str) -> list[Any]:
    """The different values of a column that are more than nothing, the most frequent first."""
    counts = Counter(value for value in sample.values(name) if isinstance(value, str | int | float))
    return [value for value, _ in counts.most_common() if not is_nothing(value)]


def _repeated(sample: Sample, name: str) -> Rule:
    return {"repeated": "first"} if name in sample.repeated else {}


def _with(entry: Entry, rule: Rule, notes: Iterable[str] = (), **more: Any) -> Entry:
    return Entry(entry.theirs, entry.column, {**entry.rule, **rule}, (*entry.notes, *notes), **more)


def text(value: Any) -> str:
    """A word as a key of a map."""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _flag(fit: Fit, entry: Entry, match: Match, words: Sequence[Any]) -> Entry:
    """A yes-or-no column whose yes means a word; its no means nothing, or that somebody came."""
    last = match.name.word == "no_show" and all(each.name.word for each in fit.of[entry.column])
    no = "attended" if last else None
    of = {text(word): match.name.word if yes_or_no("", word) == "true" else no for word in words[:MOST_WORDS]}
    notes = {
        word: "whoever is not marked counts as attended, once it has begun" for word, ours in of.items() if ours == no
    }
    return _with(entry, {"map": of}, of_words=notes if last else {})


def _yes_or_no(record: str, entry: Entry, match: Match, words: Sequence[Any]) -> Entry:
    of = {text(word): yes_or_no(f"{record}.{entry.column}", word) == "true" for word in words[:MOST_WORDS]}
    plainly = all(word.strip().lower() in BOOLEANS for word in of) and not match.name.opposite
    return entry if plainly else _with(entry, {"map": {word: ours != match.name.opposite for word, ours in of.items()}})


def _worded(sample: Sample, fit: Fit, entry: Entry, column: Column, words: Sequence[Any]) -> Entry:
    if len(words) > MOST_WORDS:
        return _with(entry, {}, [f"{entry.theirs} has {len(words)} different words, too many for a map"])
    known = {text(word): word_of(fit.record, column, word) for word in words}
    of: dict[str, Any] = {word: ours for word, ours in known.items() if ours is not None}
    unknown = [word for word, ours in known.items() if ours is None]
    notes: dict[str, str] = {}
    marked = any(each.name.word == "no_show" for each in fit.of[entry.column])
    for word, ours in of.items() if column.name == "outcome" and marked else ():
        if ours == "upcoming":
            of[word], notes[word] = (
                "attended",
                "whoever is not marked as a no-show counts as attended, once it has begun",
            )
    if fit.record == "request" and column.name == "outcome" and unknown:
        of |= {word: _by_ends(sample, fit, entry.theirs, word) for word in unknown}
        notes |= {word: f"this word is not known; {_why(of[word])}" for word in unknown}
        unknown = []
    rule: Rule = {"map": of} if any(ours != word for word, ours in of.items()) else {}
    if unknown and "other" in column.words:
        return _with(entry, {"map": of or {unknown[0]: "other"}, "otherwise": "other"})
    vital = column.name in VITAL_COLUMNS[RECORDS[fit.record]]
    if unknown and not vital:
        rule = {"map": {**of, **dict.fromkeys(unknown)}}
        notes |= dict.fromkeys(unknown, f"this word is not known; null leaves {column.name} unknown")
        unknown = []
    return _with(entry, rule, of_words=notes, unknown=unknown)


def _by_ends(sample: Sample, fit: Fit, theirs: str, word: str) -> str:
    """What a word for the state of a request means, by whether most requests in that state have an end."""
    ends = fit.of.get("resolved_at")
    rows = [row for row in sample.rows if text(sample.first(row, theirs)).strip() == word]
    ended = sum(sample.first(row, ends[0].theirs) not in (None, "") for row in rows) if ends else 0
    return "resolved" if ended > ENDED * len(rows) else "open"


def _why(ours: str) -> str:
    return f"most of its rows have {'an' if ours == 'resolved' else 'no'} end"


def _rating(entry: Entry, words: Sequence[Any], signs: Signs) -> Entry:
    values = [word for word in words if is_number(word)]
    of = {text(word): ours for word in words if not is_number(word) and (ours := meant("request.csat", str(word)))}
    unknown = {text(word): None for word in words if not is_number(word) and text(word) not in of}
    rule: Rule = {"map": {**{word: float(ours) for word, ours in of.items()}, **unknown}} if of or unknown else {}
    notes = ["these words are ratings from 0 (worst) to 1 (best)"] if of else []
    scale = (
        scale_of([found for value in values[:SOME] if (found := number(value, signs)) is not None]) if values else None
    )
    if values and scale != (0.0, 1.0):
        rule |= {"scale": [int(end) for end in scale]} if scale else {}
        notes.append(
            "the worst and the best rating are taken from the values"
            if scale
            else "the scale of the ratings is not known"
        )
    return _with(entry, rule, notes)


def _length(entry: Entry, words: Sequence[Any]) -> Entry:
    some = [*islice(words, SOME)]
    if some and all(isinstance(value, Length) for value in some):
        return entry
    if some and sum(map(is_length, some)) > len(some) / 2:
        sure = any(str(value).count(":") > 1 for value in some)
        return _with(entry, {"unit": "h:mm"}, [] if sure else ['lengths like 26:30 may also be minutes: then "m:ss"'])
    named = unit(entry.theirs)
    if named:
        return _with(entry, {} if named == "seconds" else {"unit": named})
    return _with(entry, {"unit": "minutes"}, ["the name of the column does not say its unit"] if some else [])


def nulls(sample: Sample, found: Sequence[Entry], record: str) -> list[str]:
    """Words for nothing that are in columns that are read, as they are written."""
    seen: dict[str, str] = {}
    for entry in found:
        column = COLUMNS[RECORDS[record]][entry.column]
        for value in sample.values(entry.theirs):
            if is_nothing(value) and not (column.words and word_of(record, column, value)):
                seen.setdefault(value.lower(), value)
    return [*seen.values()]
