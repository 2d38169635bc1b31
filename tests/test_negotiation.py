"""Content negotiation: what real clients send, and what they must get."""

import pytest

from exporter.publish.content_negotiation import OPENMETRICS, TEXT, Format, format_for, gzip_wanted

PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_PROTOBUF_FIRST = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6," + PROMETHEUS_3
)
CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        (CHROMIUM, TEXT),
        (PROMETHEUS_2_42, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        (PROMETHEUS_3_PROTOBUF_FIRST, OPENMETRICS),
        ("text/plain", TEXT),
        ("text/*", TEXT),
        ("application/*", OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ("Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8", OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', OPENMETRICS),
        ("application/openmetrics-text;version=2.0.0", TEXT),
        ("application/openmetrics-text;version=0.0.1", TEXT),
        ("application/openmetrics-text;version=2.0.0, application/openmetrics-text;version=1.0.0;q=0.1", OPENMETRICS),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.9", TEXT),
        ("text/plain;q=0.2, application/openmetrics-text;q=0.9", OPENMETRICS),
        ("text/plain, application/openmetrics-text", OPENMETRICS),
        ("text/plain, */*", TEXT),
        ("application/openmetrics-text, */*", OPENMETRICS),
        ("application/openmetrics-text;q=0, */*", TEXT),
        ("text/plain;q=0, */*", OPENMETRICS),
        ("text/plain;q=0, application/openmetrics-text;q=0", TEXT),
        ("application/json", TEXT),
        ("application/openmetrics-text;q=nonsense, text/plain;q=0.1", TEXT),
        (";;;,,,=;q=", TEXT),
    ],
)
def test_a_scrape_gets_the_format_it_wants_most_and_only_one_that_exists(accept: str, expected: Format) -> None:
    assert expected == format_for(accept)


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP;Q=0.5", True),
        ("x-gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("gzip;q=0.0", False),
        ("identity", False),
        ("identity, gzip;q=0.5", False),
        ("identity;q=0.5, gzip", True),
        ("deflate, br", False),
        ("gzip;q=2", False),
    ],
)
def test_only_a_client_that_wants_gzip_gets_it(accept_encoding: str, expected: bool) -> None:
    assert expected == gzip_wanted(accept_encoding)
