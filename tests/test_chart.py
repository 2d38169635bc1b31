"""Charts: what they draw of values, and that a text of a user is never markup."""

from datetime import UTC, datetime, timedelta

import pytest

from exporter.server.chart import Dot, Level, line_chart, scale, sparkline

AT = datetime(2026, 3, 31, tzinfo=UTC)


def dots(*values: float | None) -> list[Dot]:
    weeks = len(values) - 1
    return [Dot(AT - timedelta(weeks=weeks - i), value, f"{value} <b>") for i, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "axis"),
    [
        ((0.31, 0.34, 0.3), (0.3, 0.34, 0.02)),
        ((0.02, 0.15), (0.0, 0.15, 0.05)),
        ((7.0, 7.0), (5.0, 7.5, 2.5)),
        ((0.0, 0.0), (0.0, 0.5, 0.5)),
        ((-4.0, 12.0), (-10.0, 20.0, 10.0)),
        ((1e6,), (1e6, 1.5e6, 5e5)),
    ],
)
def test_an_axis_has_round_numbers_and_holds_all_values(
    values: tuple[float, ...], axis: tuple[float, float, float]
) -> None:
    assert axis == pytest.approx(scale(values))


def test_a_week_without_a_value_is_a_gap() -> None:
    chart = line_chart(dots(1, 2, None, 3, 4), [], title="t", summary="s", shown=str)

    assert chart.count("<polyline") == 2
    assert chart.count("<circle") == 4


def test_a_level_is_drawn_within_the_axis() -> None:
    chart = line_chart(dots(0.1, 0.2), [Level("critical", 0.9)], title="t", summary="s", shown=lambda v: f"{v:.0%}")

    assert 'class="level critical"' in chart
    assert ">100%</text>" in chart


def test_texts_are_no_markup_and_name_the_chart() -> None:
    chart = line_chart(dots(1, 2), [], title="A & <i>", summary="from <1>", shown=str)

    assert "<b>" not in chart
    assert "<i>" not in chart
    assert '<title id="chart-title">A &amp; &lt;i&gt;</title><desc id="chart-summary">from &lt;1&gt;</desc>' in chart
    assert "style=" not in chart


def test_without_values_there_is_no_chart() -> None:
    assert not line_chart(dots(None, None), [Level("warning", 1)], title="t", summary="s", shown=str)
    assert not sparkline([None, 1.0, None], "s")


def test_a_sparkline_says_what_it_shows() -> None:
    small = sparkline([1.0, None, 3.0, 2.0], 'down "a bit"')

    assert 'aria-label="down &#34;a bit&#34;"' in small
    assert small.count("<polyline") == 2
    assert small.count("<circle") == 1
