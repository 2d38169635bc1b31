"""Where and how to push over OTLP. Apart from the pushing, for that takes long to load."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PATH = "/v1/metrics"


@dataclass(frozen=True, kw_only=True, slots=True)
class OtlpSettings:
    """Where and how to push. `instance` is a name that outlives a restart: a host or a pod, not a random one."""

    endpoint: str  # such as https://collector:4318/v1/metrics; see address()
    instance: str
    version: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    resource: Mapping[str, str] = field(default_factory=dict)
    interval_seconds: float = 60.0
    timeout_seconds: float = 10.0  # for one request, retries included
    compression: Literal["gzip", "none"] = "gzip"
    batch_size: int = 5000  # samples in one request, about 250 KB before compression
    ca_file: str | None = None


def address(base: str) -> str:
    """Where metrics go below a base address, as OTEL_EXPORTER_OTLP_ENDPOINT means it; one with the path stays."""
    base = base.rstrip("/")
    return base if base.endswith(PATH) else base + PATH
