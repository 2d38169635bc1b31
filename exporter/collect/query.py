"""The parameters of a question."""

from collections.abc import Mapping, Sequence

Scalar = str | int | float
Query = Mapping[str, Scalar | Sequence[Scalar]]
"""The parameters of a question; one whose value is a list or tuple is repeated."""


def repeated(params: Query | None) -> list[tuple[str, Scalar]] | None:
    """The parameters as pairs; a repeated one gives several."""
    if not params:
        return None
    return [
        (name, each)
        for name, value in params.items()
        for each in ((value,) if isinstance(value, str | int | float) else value)
    ]
