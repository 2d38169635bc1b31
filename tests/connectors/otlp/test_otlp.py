"""Spans from the real SDK, in any order, and what becomes of runs inside of runs."""

import asyncio
import gzip
import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.semconv._incubating.attributes import cicd_attributes, gen_ai_attributes
from opentelemetry.trace import SpanKind, Status, StatusCode

from exporter.collect.mapping import compiled
from exporter.collect.signature import Door
from exporter.collect.source import Source
from exporter.connectors import otlp
from exporter.connectors.otlp.mapping import RESULT, RUNS, SKIPPED, STEPS
from exporter.records.columns import Rule
from tests import polled
from tests.connectors.otlp.truth import JSON, PROTOBUF, agent, in_protobuf, request, span
from tests.receiving import TOKEN, Listening, listening

PATH = "/otlp/agents/v1/traces"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": JSON}


def source() -> Source:
    rules = {"team": [Rule(field="resource.service.namespace", default="shared")]}
    made: dict[str, Any] = {"door": Door("bearer", (TOKEN,), otlp.MOST_BYTES), "options": otlp.Options()}
    return polled.source(otlp, name="agents", type="otlp", mapping=compiled(rules, otlp.RECORDS), **made)


async def post(here: Listening, spans: list[Any]) -> None:
    status, _, _ = await here.post(request(spans), HEADERS, PATH)
    assert status == 200


def test_the_words_are_those_of_the_conventions() -> None:
    operations = {each.value for each in gen_ai_attributes.GenAiOperationNameValues}

    assert operations == RUNS.keys() | STEPS
    for results in (cicd_attributes.CicdPipelineResultValues, cicd_attributes.CicdPipelineTaskRunResultValues):
        assert {each.value for each in results} == RESULT.keys() | {SKIPPED}


def contents(folder: Path) -> list[bytes]:
    """All files, whole."""
    return [path.read_bytes() for path in folder.iterdir() if path.is_file()]


def work(provider: TracerProvider) -> None:
    """An agent that asks another one by a tool that fails, on behalf of a user."""
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("POST /chat", kind=SpanKind.SERVER):
        outer = tracer.start_as_current_span(
            "invoke_agent planner",
            attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"},
        )
        with outer as planner:
            planner.set_attribute("gen_ai.input.messages", '[{"role": "user", "content": "my name is Ada Lovelace"}]')
            planner.add_event("gen_ai.choice", {"message": "hello Ada Lovelace"})
            tool = tracer.start_as_current_span(
                "execute_tool ask", attributes={"gen_ai.operation.name": "execute_tool"}
            )
            with tool as asked:
                asked.set_attribute("gen_ai.tool.call.arguments", "Ada Lovelace")
                asked.set_status(Status(StatusCode.ERROR, "Ada Lovelace is unknown"))
                inner = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "searcher"}
                with tracer.start_as_current_span("invoke_agent searcher", attributes=inner) as searcher:
                    searcher.set_status(Status(StatusCode.ERROR))
    pipeline = {"cicd.pipeline.result": "failure", "cicd.pipeline.name": "build", "cicd.pipeline.run.id": "42"}
    with tracer.start_as_current_span("RUN build", kind=SpanKind.SERVER, attributes=pipeline):
        pass


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BatchSpanProcessor])
async def test_spans_of_the_sdk_become_runs_and_nothing_that_was_said_is_stored(
    processor: Callable[[OTLPSpanExporter], Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(tmp_path / "store", source()) as here:

        def send() -> None:
            exporter = OTLPSpanExporter(
                endpoint=here.url + PATH,
                headers={"Authorization": f"Bearer {TOKEN}"},
                compression=Compression.Gzip,
            )
            provider = TracerProvider(resource=Resource({"service.name": "helper", "service.namespace": "desk"}))
            provider.add_span_processor(processor(exporter))
            work(provider)
            provider.shutdown()

        await asyncio.to_thread(send)

        assert here.rows("select workflow, status, exception, team, finished_at is not null from run order by 1") == [
            ("build", "failed", None, "desk", True),
            ("planner", "succeeded", "none", "desk", True),
        ]
        assert here.rows("select id from run where workflow = 'build'") == [("build#42",)]
        assert b"Lovelace" not in b"".join(await asyncio.to_thread(contents, tmp_path))
    assert b"Lovelace" not in b"".join(await asyncio.to_thread(contents, tmp_path))
    assert "Lovelace" not in caplog.text


async def test_spans_as_the_sdk_for_javascript_sends_them_in_json_become_runs_and_nothing_that_was_said_is_stored(
    tmp_path: Path,
) -> None:
    """A recording of OTLPTraceExporter 0.223, which did the same work as `work`, and an agent that failed."""
    body = (Path(__file__).parent / "javascript.json").read_bytes()
    async with listening(tmp_path / "store", source()) as here:
        status, text, _ = await here.post(body, HEADERS, PATH)

        assert (status, text) == (200, "{}")
        assert here.rows("select workflow, status, exception, team, reference from run order by 1") == [
            ("build", "failed", None, "desk", "42"),
            ("checker", "failed", "application", "desk", None),
            ("planner", "succeeded", "none", "desk", None),
        ]
    assert b"Lovelace" in body
    assert b"Lovelace" not in b"".join(await asyncio.to_thread(contents, tmp_path))


async def test_a_run_inside_another_is_not_counted_in_whatever_order_spans_come(tmp_path: Path) -> None:
    """An agent, and another one below a tool and a request, beside an agent that stands alone."""

    def spans(trace: str) -> list[Any]:
        return [
            agent(1, trace=trace, parent=9),
            span(2, trace=trace, parent=1, gen_ai__operation__name="execute_tool"),
            span(3, trace=trace, parent=2, http__route="/x"),
            agent(4, trace=trace, parent=3, gen_ai__agent__name="searcher"),
        ]

    orders = list(permutations(range(4)))
    traces = {f"{number + 1:032x}": order for number, order in enumerate(orders)}
    async with listening(tmp_path / "store", source()) as here:
        for step in range(4):
            await post(here, [spans(trace)[order[step]] for trace, order in traces.items()])
        await post(here, [agent(1, trace="f" * 32), agent(4, trace="e" * 32, parent=1)])
        await post(here, [spans(trace)[3] for trace in traces])  # once more

        rows = here.rows("select workflow, count(*) from run group by all order by all")
        assert rows == [("planner", len(orders) + 2)]


async def test_a_span_that_says_it_is_inside_of_itself_is_a_run(tmp_path: Path) -> None:
    async with listening(tmp_path / "store", source()) as here:
        await post(here, [agent(1, parent=1)])

        assert here.rows("select workflow from run") == [("planner",)]


async def test_a_span_that_comes_again_with_another_end_is_what_its_last_end_says(tmp_path: Path) -> None:
    ends = [agent(1, 1), {**agent(1, 1), "endTimeUnixNano": agent(1, 5)["endTimeUnixNano"], "status": {"code": 2}}]
    async with listening(tmp_path / "store", source()) as here:
        for number, order in enumerate(permutations(ends)):
            for each in (*order, order[0]):
                await post(here, [{**each, "traceId": f"{number + 1:032x}"}])

        assert here.rows("select status, minute(finished_at), count(*) from run group by all") == [("failed", 6, 2)]


async def test_nesting_is_known_after_a_restart_and_forgotten_after_a_day(tmp_path: Path) -> None:
    async with listening(tmp_path / "store", source()) as here:
        await post(here, [agent(4, parent=2), span(2, parent=1)])
        assert here.rows("select count(*) from run") == [(1,)]
    async with listening(tmp_path / "store", source()) as here:
        await post(here, [agent(1)])
        assert here.rows("select id from run where id like '%4'") == []
        here.clock[-1] = here.clock[-1].replace(month=4, day=3)
        await post(here, [agent(7, trace="e" * 32)])
        assert here.rows("select count(*) from nesting") == [(1,)]


@pytest.mark.parametrize("content_type", [JSON, PROTOBUF])
async def test_spans_that_are_not_taken_are_told_and_the_others_are_stored(content_type: str, tmp_path: Path) -> None:
    spans = [{**agent(1), "spanId": "0" * 16}, agent(2)]
    body = in_protobuf(spans).body if content_type == PROTOBUF else json.dumps(request(spans)).encode()
    headers = {**HEADERS, "Content-Type": content_type, "Content-Encoding": "gzip"}
    async with (
        listening(tmp_path / "store", source()) as here,
        here.http.post(here.url + PATH, data=gzip.compress(body), headers=headers) as response,
    ):
        answer = await response.read()
        found = here.rows("select workflow from run")
        left_out = here.rows("select column_name, reason, text from left_out")

    assert left_out == [("item", "missing", "a span without its ids, or without its times")]
    assert (response.status, response.headers["Content-Type"]) == (200, content_type)
    assert found == [("planner",)]
    if content_type == PROTOBUF:
        assert ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans == 1
    else:
        assert json.loads(answer)["partialSuccess"]["rejectedSpans"] == "1"


@pytest.mark.parametrize("content_type", [JSON, PROTOBUF])
async def test_an_answer_to_spans_that_are_all_taken_is_empty(content_type: str, tmp_path: Path) -> None:
    body = in_protobuf([agent(1)]).body if content_type == PROTOBUF else json.dumps(request([agent(1)])).encode()
    async with listening(tmp_path / "store", source()) as here:
        status, text, _ = await here.post(body, {**HEADERS, "Content-Type": content_type}, PATH)

        assert (status, text) == (200, "" if content_type == PROTOBUF else "{}")
