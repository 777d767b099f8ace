"""Load balancers: who is healthy behind a target group, and under which address a service answers.

Separate from ECS, because healthy targets, not running tasks, are what a rollout has to end in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.errors import AwsNotFound

DEREGISTRATION_DELAY_SECONDS = 300


@dataclass(frozen=True)
class TargetHealth:
    """A target's health, from DescribeTargetHealth. `state`: initial, healthy, unhealthy, unused, draining,
    unavailable, unhealthy.draining; `reason` is AWS's code (Target.Timeout), `description` its words. `group` is the name of the
    target group: a task may stand in several, on the same port."""

    target_id: str
    port: int
    zone: str
    state: str
    reason: str
    description: str
    group: str = ""

    @property
    def key(self) -> str:
        return f"{self.group}/{self.target_id}:{self.port}"


@dataclass(frozen=True)
class TargetGroup:
    """A target group with its health check, from DescribeTargetGroups and DescribeTargetGroupAttributes.

    `deregistration_delay_seconds` is how long draining may take: 300 unless set.
    """

    arn: str
    name: str
    load_balancer_arns: tuple[str, ...]
    protocol: str
    port: int
    health_check_path: str
    health_check_protocol: str
    deregistration_delay_seconds: int
    healthy_threshold: int
    interval_seconds: int


@dataclass(frozen=True)
class LoadBalancer:
    """A load balancer, from DescribeLoadBalancers. `scheme`: internet-facing or internal; `state`: active,
    provisioning, active_impaired, failed."""

    arn: str
    name: str
    dns_name: str
    scheme: str
    state: str


@dataclass(frozen=True)
class Listener:
    """A listener; `target_group_arns` are those its default action forwards to. Its rules are not among them."""

    arn: str
    port: int
    protocol: str
    target_group_arns: tuple[str, ...]


class Elbv2:
    """Reads of one region's load balancers. Every method raises AwsError."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def target_health(self, target_group_arn: str) -> tuple[TargetHealth, ...]:
        """Every target of the group. AWS answers it whole, without pages."""
        answer = self.access.call("elbv2", "DescribeTargetHealth", TargetGroupArn=target_group_arn)
        group = group_name(target_group_arn)
        return tuple(parse_target_health(raw, group) for raw in answer.get("TargetHealthDescriptions") or ())

    def target_group(self, arn: str) -> TargetGroup:
        """The target group of that ARN, with its deregistration delay."""
        raw = next(self.access.pages("elbv2", "DescribeTargetGroups", "TargetGroups", TargetGroupArns=[arn]), None)
        if raw is None:
            raise self._missing("target group", arn, "DescribeTargetGroups")
        answer = self.access.call("elbv2", "DescribeTargetGroupAttributes", TargetGroupArn=arn)
        attributes = {str(item.get("Key")): str(item.get("Value") or "") for item in answer.get("Attributes") or ()}
        return parse_target_group(raw, attributes)

    def weights(self, rule: str) -> Mapping[str, int]:
        """How much of its traffic a listener rule, or the default action of a listener, sends to each target group, by ARN."""
        if ":listener-rule/" in rule:
            rules = self.access.pages("elbv2", "DescribeRules", "Rules", RuleArns=[rule])
            return _weights(action for raw in rules for action in raw.get("Actions") or ())
        listeners = self.access.pages("elbv2", "DescribeListeners", "Listeners", ListenerArns=[rule])
        return _weights(action for raw in listeners for action in raw.get("DefaultActions") or ())

    def load_balancer(self, arn: str) -> LoadBalancer:
        return self._load_balancer(arn, LoadBalancerArns=[arn])

    def load_balancer_named(self, name: str) -> LoadBalancer:
        """The load balancer of exactly that name; names are unique within an account and region."""
        return self._load_balancer(name, Names=[name])

    def listeners(self, load_balancer_arn: str) -> tuple[Listener, ...]:
        """The load balancer's listeners, by port."""
        pages = self.access.pages("elbv2", "DescribeListeners", "Listeners", LoadBalancerArn=load_balancer_arn)
        return tuple(sorted((parse_listener(raw) for raw in pages), key=lambda listener: listener.port))

    def health_address(self, target_group_arn: str) -> str | None:
        """Where the service behind the target group answers its health check through the load balancer, as
        `https://name:port/path`; HTTPS is preferred. None where no load balancer of a listener forwards there."""
        group = self.target_group(target_group_arn)
        for load_balancer_arn in group.load_balancer_arns:
            forwarding = [
                listener for listener in self.listeners(load_balancer_arn) if self._forwards(listener, group.arn)
            ]
            forwarding.sort(key=lambda listener: (listener.protocol not in {"HTTPS", "TLS"}, listener.port))
            if forwarding:
                listener = forwarding[0]
                scheme = "https" if listener.protocol in {"HTTPS", "TLS"} else "http"
                host = self.load_balancer(load_balancer_arn).dns_name
                return f"{scheme}://{host}:{listener.port}{group.health_check_path or '/'}"
        return None

    def _forwards(self, listener: Listener, target_group_arn: str) -> bool:
        if target_group_arn in listener.target_group_arns:
            return True
        if listener.protocol not in {"HTTP", "HTTPS"}:
            return False  # only these have rules
        rules = self.access.pages("elbv2", "DescribeRules", "Rules", ListenerArn=listener.arn)
        return any(target_group_arn in _forwarded_to(rule.get("Actions")) for rule in rules)

    def _load_balancer(self, wanted: str, **by: list[str]) -> LoadBalancer:
        raw = next(self.access.pages("elbv2", "DescribeLoadBalancers", "LoadBalancers", **by), None)
        if raw is None:
            raise self._missing("load balancer", wanted, "DescribeLoadBalancers")
        return parse_load_balancer(raw)

    def _missing(self, kind: str, wanted: str, operation: str) -> AwsNotFound:
        return AwsNotFound(
            f"There is no {kind} {wanted!r} (region {self.access.region}).",
            operation=f"elasticloadbalancing:{operation}",
            mend="Check the name, the region and the account.",
        )


def group_name(arn: str) -> str:
    """The name in a target group's ARN; what is no such ARN stays."""
    return arn.rpartition(":targetgroup/")[2].partition("/")[0]


def parse_target_health(raw: Mapping[str, Any], group: str = "") -> TargetHealth:
    target, health = raw.get("Target") or {}, raw.get("TargetHealth") or {}
    return TargetHealth(
        target_id=str(target.get("Id") or ""),
        port=int(target.get("Port") or 0),
        zone=str(target.get("AvailabilityZone") or ""),
        state=str(health.get("State") or ""),
        reason=str(health.get("Reason") or ""),
        description=str(health.get("Description") or ""),
        group=group,
    )


def parse_target_group(raw: Mapping[str, Any], attributes: Mapping[str, str]) -> TargetGroup:
    """From DescribeTargetGroups and the group's attributes by their keys."""
    delay = attributes.get("deregistration_delay.timeout_seconds", "")
    return TargetGroup(
        arn=str(raw.get("TargetGroupArn") or ""),
        name=str(raw.get("TargetGroupName") or ""),
        load_balancer_arns=tuple(str(arn) for arn in raw.get("LoadBalancerArns") or ()),
        protocol=str(raw.get("Protocol") or ""),
        port=int(raw.get("Port") or 0),
        health_check_path=str(raw.get("HealthCheckPath") or ""),
        health_check_protocol=str(raw.get("HealthCheckProtocol") or ""),
        deregistration_delay_seconds=int(delay) if delay.isdecimal() else DEREGISTRATION_DELAY_SECONDS,
        healthy_threshold=int(raw.get("HealthyThresholdCount") or 0),
        interval_seconds=int(raw.get("HealthCheckIntervalSeconds") or 0),
    )


def parse_load_balancer(raw: Mapping[str, Any]) -> LoadBalancer:
    return LoadBalancer(
        arn=str(raw.get("LoadBalancerArn") or ""),
        name=str(raw.get("LoadBalancerName") or ""),
        dns_name=str(raw.get("DNSName") or ""),
        scheme=str(raw.get("Scheme") or ""),
        state=str((raw.get("State") or {}).get("Code") or ""),
    )


def parse_listener(raw: Mapping[str, Any]) -> Listener:
    return Listener(
        arn=str(raw.get("ListenerArn") or ""),
        port=int(raw.get("Port") or 0),
        protocol=str(raw.get("Protocol") or ""),
        target_group_arns=tuple(dict.fromkeys(_forwarded_to(raw.get("DefaultActions")))),
    )


def _weights(actions: Any) -> Mapping[str, int]:
    """The weighted form of a forward action counts; the plain one beside it names one of its groups, or stands alone."""
    found: dict[str, int] = {}
    for action in actions:
        weighted = (action.get("ForwardConfig") or {}).get("TargetGroups") or ()
        for group in weighted:
            found[str(group.get("TargetGroupArn") or "")] = int(group.get("Weight", 1))
        if not weighted and action.get("TargetGroupArn"):
            found[str(action["TargetGroupArn"])] = 1
    return found


def _forwarded_to(actions: Any) -> Iterator[str]:
    """Target groups of the forward actions: the plain form and the weighted one, which AWS gives side by side."""
    for action in actions or ():
        if action.get("TargetGroupArn"):
            yield str(action["TargetGroupArn"])
        for group in (action.get("ForwardConfig") or {}).get("TargetGroups") or ():
            if group.get("TargetGroupArn"):
                yield str(group["TargetGroupArn"])
