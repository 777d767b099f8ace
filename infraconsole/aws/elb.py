"""Classic Load Balancers: which of their instances they find healthy."""

from __future__ import annotations

from dataclasses import dataclass

from infraconsole.aws.access import AwsAccess


@dataclass(frozen=True)
class InstanceHealth:
    """From DescribeInstanceHealth. `state`: InService, OutOfService, Unknown; `description` is AWS's words."""

    instance_id: str
    state: str
    description: str


class ClassicElb:
    """Reads of one region's Classic Load Balancers. Every method raises AwsError."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def instance_health(self, name: str) -> tuple[InstanceHealth, ...]:
        """Of every instance that is registered with the load balancer of that name. AWS answers it whole, without pages."""
        answer = self.access.call("elb", "DescribeInstanceHealth", LoadBalancerName=name)
        return tuple(
            InstanceHealth(
                str(raw.get("InstanceId") or ""), str(raw.get("State") or ""), str(raw.get("Description") or "")
            )
            for raw in answer.get("InstanceStates") or ()
        )
