"""Routes that are built when first asked for.

FastAPI looks at each endpoint's signature, makes its parameters' and answers' validators, and does both again for every
router that an application includes: some three milliseconds of CPU time a route, of which a start needs one. Here a
route knows only its path, methods and options until a request comes that may be meant for it, or somebody asks what
else it is (the OpenAPI document does).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette._utils import get_route_path
from starlette.routing import Match, get_name
from starlette.types import Scope


class LateRoute(APIRoute):
    """A route of FastAPI's whose state is made at the first look at it."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.path, self.endpoint = path, endpoint
        self.name = options.get("name") or get_name(endpoint)
        self.methods = {method.upper() for method in options.get("methods") or ["GET"]}
        self._begins = path.partition("{")[0]
        self._options: dict[str, Any] | None = options

    def add_defaults(self, responses: dict[int | str, dict[str, Any]], unique_id: Callable[[APIRoute], str]) -> None:
        """What an application gives its routes, all applications of one process the same."""
        if self._options is not None:
            self._options["responses"] = {**responses, **self._options["responses"]}
            self._options["generate_unique_id_function"] = unique_id

    @property
    def is_built(self) -> bool:
        return self._options is None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or not get_route_path(scope).startswith(self._begins):
            return Match.NONE, {}
        return super().matches(scope)

    def __getattr__(self, name: str) -> Any:
        """Only asked for what is not there yet."""
        options = self.__dict__.get("_options")
        if options is None:
            raise AttributeError(name)
        self._options = None
        super().__init__(self.path, self.endpoint, **options)
        return getattr(self, name)


class Router(APIRouter):
    """FastAPI's, with late routes."""

    def __init__(self, *, route_class: type[LateRoute] = LateRoute, **options: Any) -> None:
        super().__init__(route_class=route_class, **options)


def include(app: FastAPI, router: APIRouter) -> None:
    """The router's routes become the application's own, with its descriptions of errors and its names."""
    for route in router.routes:
        assert isinstance(route, LateRoute), f"{route}: make its router with atelier.routing.Router"
        route.add_defaults(app.router.responses, app.router.generate_unique_id_function)
        app.router.routes.append(route)
