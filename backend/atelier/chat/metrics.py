"""What was counted, as Prometheus reads it (text format 0.0.4): made when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from atelier.chat.metering import BOUNDS, Meter, Tally

MEDIA = "text/plain; version=0.0.4; charset=utf-8"


def exposition(meter: Meter) -> str:
    """Users are left out: who uses what is nobody's business but an administrator's, and metrics travel."""
    by_route: dict[tuple[str, str], list[Tally]] = {}
    for (_, model, path), tally in meter.tallies.items():
        by_route.setdefault((model, path), []).append(tally)
    lines = [
        *_counter("requests_total", "Requests that got to an engine.", _requests(by_route)),
        *_counter("refused_total", "Requests that did not.", ((_said(code=c), n) for c, n in meter.refused.items())),
        *_counter("tokens_total", "Tokens that engines counted.", _tokens(by_route)),
        *_histogram("request_duration_seconds", "From a request to the end of its answer.", by_route, "durations"),
        *_histogram("time_to_first_token_seconds", "From a request to its stream's first event.", by_route, "firsts"),
        *_head("requests_in_flight", "Requests under way.", "gauge"),
        *(f"atelier_chat_requests_in_flight{_said(model=one)} {count}" for one, count in meter.in_flight.items()),
    ]
    return "\n".join(lines) + "\n"


Routes = Mapping[tuple[str, str], list[Tally]]


def _requests(routes: Routes) -> Iterator[tuple[str, int]]:
    for (model, path), tallies in routes.items():
        for status in sorted({status for tally in tallies for status in tally.statuses}):
            count = sum(tally.statuses.get(status, 0) for tally in tallies)
            yield _said(model=model, path=path, status=str(status)), count


def _tokens(routes: Routes) -> Iterator[tuple[str, int]]:
    for (model, path), tallies in routes.items():
        for kind in ("prompt", "completion"):
            yield _said(model=model, path=path, kind=kind), sum(getattr(one, f"{kind}_tokens") for one in tallies)


def _head(name: str, words: str, kind: str) -> list[str]:
    return [f"# HELP atelier_chat_{name} {words}", f"# TYPE atelier_chat_{name} {kind}"]


def _counter(name: str, words: str, values: Iterable[tuple[str, int]]) -> Iterator[str]:
    yield from _head(name, words, "counter")
    for labels, value in values:
        yield f"atelier_chat_{name}{labels} {value}"


def _histogram(name: str, words: str, routes: Routes, field: str) -> Iterator[str]:
    yield from _head(name, words, "histogram")
    total = {"durations": "seconds", "firsts": "first_seconds"}[field]
    for (model, path), tallies in routes.items():
        counts = list(accumulate(map(sum, zip(*(getattr(one, field) for one in tallies), strict=True))))
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
            yield f"atelier_chat_{name}_bucket{_said(model=model, path=path, le=bound)} {count}"
        labels, summed = _said(model=model, path=path), sum(getattr(one, total) for one in tallies)
        yield f"atelier_chat_{name}_sum{labels} {summed:.6f}"
        yield f"atelier_chat_{name}_count{labels} {counts[-1]}"


def _said(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
