"""Answers with all that AWS always gives, for tests that only care for a part of them."""

from __future__ import annotations

from typing import Any

_ARN = "arn:aws:ecs:ap-northeast-2:123456789012"


def service(name: str, **more: Any) -> dict[str, Any]:
    return {
        "serviceName": name,
        "serviceArn": f"{_ARN}:service/c/{name}",
        "clusterArn": f"{_ARN}:cluster/c",
        "status": "ACTIVE",
        "desiredCount": 1,
        "runningCount": 1,
        "pendingCount": 0,
        "deployments": [],
        **more,
    }


def service_deployment(arn: str) -> dict[str, Any]:
    return {"serviceDeploymentArn": arn, "status": "SUCCESSFUL"}


NOTHING: dict[str, dict[str, Any]] = {
    "ListClusters": {"clusterArns": []},
    "UpdateService": {"service": service("x")},
}
"""By operation, what AWS answers where there is nothing special to say."""
