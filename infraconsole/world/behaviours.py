"""How the tasks of a revision fare, by its image and environment: the one place where the world decides that something
is broken. A scenario names tags; an image that is missing from ECR cannot be pulled, whatever the scenario says."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from moto.backends import get_backend

from infraconsole.world.rollout import HEALTHY, Behaviour

VARIABLE = "WORLD_BEHAVIOUR"
"""A container's environment variable that says it outright: healthy, crash, no-pull or unhealthy."""

KINDS = ("healthy", "crash", "no-pull", "unhealthy")


class Behaviours:
    def __init__(self, account: str) -> None:
        self._account = account
        self._by_tag: dict[tuple[str, str], Behaviour] = {}
        self._lock = threading.Lock()

    def set(self, family: str, tag: str, behaviour: Behaviour) -> None:
        """From now on, deployments of this family's image `tag` fare like that."""
        with self._lock:
            self._by_tag[family, tag] = behaviour

    def of(self, region: str, definition: Any) -> Behaviour:
        """Of moto's task definition; the first of its essential containers that does not fare well decides."""
        essential = [one for one in definition.container_definitions if one.get("essential", True)]
        found = (self._of_container(region, definition, one) for one in essential)
        return next((behaviour for behaviour in found if behaviour.kind != "healthy"), HEALTHY)

    def _of_container(self, region: str, definition: Any, container: Mapping[str, Any]) -> Behaviour:
        image = str(container.get("image", ""))
        for variable in container.get("environment") or []:
            if variable.get("name") == VARIABLE and variable.get("value") in KINDS:
                return _worded(Behaviour(kind=variable["value"]), image)
        _, _, tag = image.rpartition(":")
        with self._lock:
            known = self._by_tag.get((definition.family, tag))
        if known is not None:
            return _worded(known, image)
        if not self._can_be_pulled(region, image):
            return _worded(Behaviour("no-pull"), image)
        return HEALTHY

    def _can_be_pulled(self, region: str, image: str) -> bool:
        host, _, path = image.partition("/")
        if host != f"{self._account}.dkr.ecr.{region}.amazonaws.com":
            return True
        name, _, tag = path.partition(":")
        repository = get_backend("ecr")[self._account][region].repositories.get(name)
        return repository is not None and any(tag in one.image_tags for one in repository.images)


def _worded(behaviour: Behaviour, image: str) -> Behaviour:
    if behaviour.kind != "no-pull" or behaviour.reason:
        return behaviour
    reason = (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): "
        f"failed to resolve ref {image}: {image}: not found"
    )
    return replace(behaviour, reason=reason)
