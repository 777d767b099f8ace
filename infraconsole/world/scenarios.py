"""The situations the world can be started in, by name. They are data: what each means is carried out by the seed (what is
deployed, and how it fares) and by the faults (throttling, delay, expiry)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infraconsole.errors import UnknownName
from infraconsole.world.rollout import HEALTHY, Behaviour

SERVICE = "fileflow"
ENVIRONMENT = "prod"


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    summary: str
    newest: Behaviour = HEALTHY
    """How the newest revision of fileflow in prod fares."""
    deployed_minutes: float | None = None
    """How long ago the newest revision began to roll out; None: it is in place since yesterday."""
    breaker: bool = False
    """Whether prod's services have the deployment circuit breaker, with rollback."""
    throttle_share: float = 0.0
    """Of all calls, between 0 and 1."""
    delay_seconds: float = 0.0
    """Real seconds before each answer."""
    credentials_minutes: float | None = None
    """World minutes until the issued credentials expire; None: they do not."""


_CRASH = Behaviour(
    "crash",
    # The first tasks live long enough to pass the health check, so that the old ones are already gone when they die.
    crash_after=20.0,
    first_crash_after=45.0,
    exit_code=1,
    reason="",
)

DEFAULT = "bad-image"

SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("healthy", "All is well", "Everything is deployed, steady and healthy."),
        Scenario(
            "bad-image",
            "A bad image in prod",
            "fileflow's newest revision in prod has crash-looped for twenty minutes; the old tasks are gone.",
            newest=_CRASH,
            deployed_minutes=20.0,
        ),
        Scenario(
            "never-stable",
            "A rollout that never gets stable",
            "fileflow's newest tasks in prod run, but their targets never pass the health check; the old ones serve on.",
            newest=Behaviour("unhealthy"),
            deployed_minutes=20.0,
        ),
        Scenario(
            "missing-image",
            "An image that cannot be pulled",
            "fileflow's newest revision in prod names an image that ECR does not have; the old tasks serve on.",
            newest=Behaviour("no-pull"),
            deployed_minutes=20.0,
        ),
        Scenario(
            "circuit-breaker",
            "The circuit breaker rolled back",
            "fileflow's newest revision in prod crash-looped, and ECS went back by itself; Terraform does not know.",
            newest=Behaviour("crash", crash_after=12.0),
            deployed_minutes=20.0,
            breaker=True,
        ),
        Scenario(
            "throttled",
            "AWS throttles",
            "The bad image, and a quarter of all calls is answered with ThrottlingException.",
            newest=_CRASH,
            deployed_minutes=20.0,
            throttle_share=0.25,
        ),
        Scenario(
            "expired",
            "Credentials that run out",
            "The bad image, and the credentials expire ten minutes after the start.",
            newest=_CRASH,
            deployed_minutes=20.0,
            credentials_minutes=10.0,
        ),
        Scenario(
            "slow",
            "A slow network",
            "The bad image, and each call takes most of a second longer.",
            newest=_CRASH,
            deployed_minutes=20.0,
            delay_seconds=0.8,
        ),
    )
}


def scenario(name: str) -> Scenario:
    """The scenario of that name. Raises UnknownName."""
    if name not in SCENARIOS:
        raise UnknownName("scenario", name, SCENARIOS)
    return SCENARIOS[name]
