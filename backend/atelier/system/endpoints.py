"""Every address that programs can call, out of the OpenAPI document: new routes are listed by being there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from atelier.dialects import dialect_of
from atelier.system.schemas import EndpointList, EndpointOut

METHODS = ("get", "post", "put", "patch", "delete")
LIVE_PATH = "/api/live"


def endpoint_list(document: dict[str, Any], scheme: str, host: str, advertised: Iterable[str]) -> EndpointList:
    """`host` is what the caller used, port included; `advertised` names of ours answer on the same port."""
    bases = _bases(scheme, host, advertised)
    return EndpointList(base_urls=bases, docs_url=f"{bases[0]}/docs", items=list(_items(document, bases[0])))


def _bases(scheme: str, host: str, advertised: Iterable[str]) -> list[str]:
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name, port = host, ""
    names = dict.fromkeys([name, *advertised])
    return [f"{scheme}://{one}{f':{port}' if port else ''}" for one in names]


def _items(document: dict[str, Any], base: str) -> Iterator[EndpointOut]:
    live = EndpointOut(
        method="WS",
        path=LIVE_PATH,
        url="ws" + base.removeprefix("http") + LIVE_PATH,
        summary="Live events: a snapshot, then what changes",
        tag="live",
        dialect="atelier",
    )
    for path, operations in document["paths"].items():
        for method in METHODS:
            if operation := operations.get(method):
                yield EndpointOut(
                    method=method.upper(),
                    path=path,
                    url=base + path,
                    summary=operation.get("summary", ""),
                    tag=next(iter(operation.get("tags", [])), "other"),
                    dialect=dialect_of(path),
                )
    yield live
