"""A program with OpenTelemetry's own SDK, which knows nothing of who receives its spans.

Where they go is in the environment, as the specification has it. Prints the trace's id.
"""

import json

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

provider = TracerProvider(resource=Resource.create({"service.name": "support-bot"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("shop.support", "1.4")

with tracer.start_as_current_span(
    "invoke_agent support",
    attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "support"},
) as root:
    question = [{"role": "user", "parts": [{"type": "text", "content": "I am jane@example.com"}]}]
    with tracer.start_as_current_span(
        "chat gpt-4o-mini",
        kind=SpanKind.CLIENT,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.prompt_tokens": 400,
            "gen_ai.usage.output_tokens": 30,
            "gen_ai.input.messages": json.dumps(question),
        },
    ) as call:
        call.add_event("first chunk", {"bytes": 12})
    with tracer.start_as_current_span(
        "GET", kind=SpanKind.CLIENT, attributes={"http.request.method": "GET"}
    ) as fetch:
        fetch.set_status(Status(StatusCode.ERROR, "404"))
    for step in range(1000):
        with tracer.start_as_current_span(f"step {step}"):
            pass
    print(f"{root.get_span_context().trace_id:032x}")

provider.shutdown()
