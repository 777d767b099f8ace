"""The world's own controls, under a path that no AWS service uses: status, calls made, faults, clock, credentials. Tests
and drills steer the world through it; the console itself never calls it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any
from urllib.parse import parse_qs

from infraconsole.world.faults import CallLog, FaultRules, Rule
from infraconsole.world.http import Environ, StartResponse, WsgiApp

PREFIX = "/_world"

Handler = Callable[[dict[str, Any]], Any]


class ControlApp:
    """Answers what begins with /_world, and hands everything else on. A handler gets the body's fields (for GET, the
    query's) and answers what is sent as JSON; a ValueError, KeyError or TypeError of its is a 400."""

    def __init__(self, app: WsgiApp, routes: dict[tuple[str, str], Handler]) -> None:
        self._app = app
        self._routes = routes

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path != PREFIX and not path.startswith(PREFIX + "/"):
            return self._app(environ, start_response)
        method = environ["REQUEST_METHOD"]
        handler = self._routes.get((method, path.removeprefix(PREFIX).strip("/")))
        if handler is None:
            return _answer(start_response, "404 Not Found", {"error": f"no {method} {path}"})
        try:
            return _answer(start_response, "200 OK", handler(_given(environ)))
        except (ValueError, KeyError, TypeError) as error:
            return _answer(start_response, "400 Bad Request", {"error": f"{type(error).__name__}: {error}"})


def call_routes(calls: CallLog, rules: FaultRules) -> dict[tuple[str, str], Handler]:
    """The routes that need nothing but the call log and the rules."""
    known = {field.name for field in fields(Rule)} - {"id", "seen", "used"}

    def add(given: dict[str, Any]) -> Any:
        unknown = set(given) - known
        if unknown:
            raise ValueError(f"unknown fields {sorted(unknown)}; known: {sorted(known)}")
        return {"id": rules.add(Rule(**given)).id}

    def clear_rules(_: dict[str, Any]) -> Any:
        rules.clear()
        return {}

    def clear_calls(_: dict[str, Any]) -> Any:
        calls.clear()
        return {}

    def listed(given: dict[str, Any]) -> Any:
        since = int(given.get("since", 0))
        chosen = calls.listed(since=since, service=given.get("service", ""), operation=given.get("operation", ""))
        return {"calls": chosen}

    return {
        ("GET", "calls"): listed,
        ("DELETE", "calls"): clear_calls,
        ("GET", "faults"): lambda _: {"faults": rules.listed()},
        ("POST", "faults"): add,
        ("DELETE", "faults"): clear_rules,
    }


def _given(environ: Environ) -> dict[str, Any]:
    if environ["REQUEST_METHOD"] == "GET":
        return {key: values[-1] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
    body = environ["wsgi.input"].read()
    if not body:
        return {}
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("a JSON object is expected")
    return document


def _answer(start_response: StartResponse, status: str, document: Any) -> Iterable[bytes]:
    body = json.dumps(document).encode()
    start_response(status, [("Content-Type", "application/json")])
    return [body]
