"""Builds the company in the emulator: the infrastructure, and each service in each environment with its history. It runs once,
at the start of the world's process, through the API itself wherever the API can."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from moto.backends import get_backend

from infraconsole import naming
from infraconsole.world import application, tfstate
from infraconsole.world.application import Ground
from infraconsole.world.application_state import ApplicationState, Parts
from infraconsole.world.company import Build, Company
from infraconsole.world.ecs_api import EcsWorld, SimulatedService, extras_of
from infraconsole.world.infrastructure import Infrastructure
from infraconsole.world.logs import LogWriter
from infraconsole.world.pieces import listed, make_secret, password
from infraconsole.world.rollout import HEALTHY, PastDeployment, Revision, Settings
from infraconsole.world.scenarios import ENVIRONMENT, SERVICE, Scenario
from infraconsole.world.trail import TrailWriter
from infraconsole.world.wire import Wire, first


class Seed:
    """`open_health(service name, environment)` opens a health port and returns its number."""

    def __init__(
        self,
        wire: Wire,
        company: Company,
        ecs: EcsWorld,
        scenario: Scenario,
        now: datetime,
        open_health: Callable[[str, str], int],
    ) -> None:
        self._wire = wire
        self._company = company
        self._ecs = ecs
        self._scenario = scenario
        self._now = now
        self._open_health = open_health
        self._logs = LogWriter(company)
        self._trail = TrailWriter(wire, company)
        self._infrastructure = Infrastructure(wire, company, self._trail, now)

    def run(self) -> None:
        ground = self._infrastructure.build()
        self._trail.set_up()
        self._lock_table()
        for service in self._company.services:
            self._infrastructure.registry(service)
            for environment in self._company.environments:
                self._deployment(service, environment, ground)
        self._infrastructure.store_states(ground)

    def _lock_table(self) -> None:
        self._wire.json(
            "dynamodb",
            "CreateTable",
            TableName=naming.LOCK_TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        )

    # One service in one environment

    def _deployment(self, service: str, environment: str, ground: Ground) -> None:
        company, about = self._company, self._company.environments[environment]
        cluster = naming.cluster(service, environment)
        tags = company.resource_tags(service, environment, cluster, "ecs")
        made = self._wire.json(
            "ecs",
            "CreateCluster",
            clusterName=cluster,
            settings=[{"name": "containerInsights", "value": "enabled"}],
            tags=listed(tags, lower=True),
        )
        own = application.make(self._wire, company, service, environment, ground)
        self._infrastructure.use_database(
            environment, tfstate.ingress(3306, f"MySQL from {service}-{environment} tasks", group=own.tasks_group)
        )
        balancer, group, listener, port = self._load_balancer(service, environment, ground, own.alb_group)
        self._log_groups(service, environment, ground)
        credentials = make_secret(
            self._wire,
            f"{service}-{environment}-db-credentials-{company.secret_suffix(service, environment)}",
            {"username": f"{service}_user", "password": password(service + environment), "database": service},
            company.resource_tags(service, environment, f"{service}-{environment}-db-credentials", "database"),
            ground.keys["secrets-manager"],
        )
        for build in company.builds:
            self._register(service, environment, build, credentials)
        network = {
            "awsvpcConfiguration": {
                "subnets": ground.subnets["private"],
                "securityGroups": [own.tasks_group],
                "assignPublicIp": "DISABLED",
            }
        }
        balancers = [
            {
                "targetGroupArn": group,
                "containerName": naming.container(service),
                "containerPort": company.container_port,
            }
        ]
        simulated = self._simulate(service, environment, about.desired, group, network, balancers)
        parts = Parts(made["cluster"]["clusterArn"], balancer, group, listener, port, credentials)
        self._alarms(service, environment, balancer)
        self._states(ApplicationState(company, ground, service, environment, own, parts))
        self._logs.seed(simulated, service, environment, self._now)

    def _simulate(
        self,
        service: str,
        environment: str,
        desired: int,
        group: str,
        network: dict[str, Any],
        balancers: Sequence[dict[str, Any]],
    ) -> SimulatedService:
        company, scenario = self._company, self._scenario
        backend = get_backend("ecs")[company.account][company.region]
        cluster, name = naming.cluster(service, environment), naming.ecs_service(service, environment)
        family = naming.task_family(service, environment)
        definitions = backend.task_definitions[family]
        # moto's own object stands behind tag operations and account-wide listings.
        backend.create_service(
            cluster,
            name,
            desired,
            f"{family}:{company.newest.number}",
            load_balancers=list(balancers),
            launch_type="FARGATE",
            network_configuration=network,
            tags=listed(company.resource_tags(service, environment, name, "ecs"), lower=True),
        )
        settings = Settings(
            desired=desired,
            breaker=scenario.breaker and environment == ENVIRONMENT,
            breaker_rollback=scenario.breaker and environment == ENVIRONMENT,
            target_groups=(group,),
            deregistration_delay=float(company.deregistration_delay),
            port=company.container_port,
        )
        params = {
            "loadBalancers": list(balancers),
            "networkConfiguration": network,
            "launchType": "FARGATE",
            "healthCheckGracePeriodSeconds": 60,
            "enableECSManagedTags": True,
            "enableExecuteCommand": environment != "prod",
            "propagateTags": "SERVICE",
        }
        troubled = (service, environment) == (SERVICE, ENVIRONMENT) and scenario.deployed_minutes is not None
        builds = [build for build in company.builds if not (troubled and build is company.newest)]
        history = [
            PastDeployment(
                Revision(definitions[build.number].arn, HEALTHY),
                self._now - timedelta(hours=build.hours),
                lasted=130.0 if build.outcome_in(environment) == "SUCCESSFUL" else 960.0,
                status=build.outcome_in(environment),
                reason="" if build.outcome_in(environment) == "SUCCESSFUL" else _REPLACED,
            )
            for build in builds
            if build.outcome_in(environment)
        ]
        newest = definitions[company.newest.number]
        begun = self._now - timedelta(minutes=scenario.deployed_minutes or 0.0) if troubled else self._now
        simulated = self._ecs.create(
            company.region,
            company.account,
            cluster,
            name,
            newest,
            settings,
            extras_of(params),
            history,
            begun,
        )
        if troubled:
            newest.registered_at = begun - timedelta(minutes=2)
            simulated.sim.update(begun, revision=self._ecs.revision(company.region, newest))
        simulated.sim.advance(self._now)
        return simulated

    def _register(self, service: str, environment: str, build: Build, credentials: str) -> None:
        company, about = self._company, self._company.environments[environment]
        family = naming.task_family(service, environment)
        tag = company.tag(service, environment, build.number)
        variables = {
            "SPRING_PROFILES_ACTIVE": environment,
            "SERVER_PORT": str(company.container_port),
            "APP_VERSION": tag,
            **company.application_environment(service, build),
        }
        application: dict[str, Any] = {
            "name": naming.container(service),
            "image": f"{company.repository_url(service)}:{tag}",
            "essential": True,
            "portMappings": [{"containerPort": company.container_port, "protocol": "tcp"}],
            "environment": [{"name": key, "value": value} for key, value in variables.items()],
            "secrets": [
                {"name": "DB_USERNAME", "valueFrom": f"{credentials}:username::"},
                {"name": "DB_PASSWORD", "valueFrom": f"{credentials}:password::"},
            ],
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": naming.log_group(service, environment),
                    "awslogs-region": company.region,
                    "awslogs-stream-prefix": "ecs",
                },
            },
        }
        if build.health_check:
            url = f"http://localhost:{company.container_port}{naming.HEALTH_PATH}"
            application["healthCheck"] = {
                "command": ["CMD-SHELL", f"curl -fsS {url} || exit 1"],
                "interval": 30,
                "timeout": 5,
                "retries": 3,
                "startPeriod": 60,
            }
        containers = [application]
        if build.tracing:
            containers.append(
                {"name": "xray-daemon", "image": "amazon/aws-xray-daemon:latest", "essential": False, "cpu": 32}
            )
        self._wire.json(
            "ecs",
            "RegisterTaskDefinition",
            family=family,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu=str(int(about.cpu * build.size)),
            memory=str(int(about.memory * build.size)),
            executionRoleArn=f"arn:aws:iam::{company.account}:role/{family}-ecs-execution",
            taskRoleArn=f"arn:aws:iam::{company.account}:role/{family}-ecs-task",
            containerDefinitions=containers,
            tags=listed(company.resource_tags(service, environment, family, "ecs"), lower=True),
        )
        definition = get_backend("ecs")[company.account][company.region].task_definitions[family][build.number]
        definition.registered_at = self._now - timedelta(hours=build.hours, minutes=2)
        if build.inactive:
            self._wire.json("ecs", "DeregisterTaskDefinition", taskDefinition=f"{family}:{build.number}")

    def _load_balancer(
        self, service: str, environment: str, ground: Ground, security_group: str
    ) -> tuple[str, str, str, int]:
        """ARNs of load balancer, target group and listener; and the listener's port, which really answers on this machine."""
        wire, company = self._wire, self._company
        name, group_name = naming.load_balancer(service, environment), naming.target_group(service, environment)
        balancer = first(
            wire.query(
                "elasticloadbalancing",
                "CreateLoadBalancer",
                Name=name,
                Subnets=ground.subnets["public"],
                SecurityGroups=[security_group],
                Scheme="internet-facing",
                Type="application",
                Tags=listed(company.resource_tags(service, environment, name, "alb")),
            ),
            "LoadBalancerArn",
        )
        wire.query(
            "elasticloadbalancing",
            "ModifyLoadBalancerAttributes",
            LoadBalancerArn=balancer,
            Attributes=[{"Key": key, "Value": value} for key, value in _BALANCER_ATTRIBUTES.items()],
        )
        group = first(
            wire.query(
                "elasticloadbalancing",
                "CreateTargetGroup",
                Name=group_name,
                Protocol="HTTP",
                Port=company.container_port,
                VpcId=ground.vpc,
                TargetType="ip",
                HealthCheckPath=naming.HEALTH_PATH,
                HealthCheckIntervalSeconds=30,
                HealthCheckTimeoutSeconds=5,
                HealthyThresholdCount=2,
                UnhealthyThresholdCount=3,
                Matcher={"HttpCode": "200"},
                Tags=listed(company.resource_tags(service, environment, group_name, "alb")),
            ),
            "TargetGroupArn",
        )
        wire.query(
            "elasticloadbalancing",
            "ModifyTargetGroupAttributes",
            TargetGroupArn=group,
            Attributes=[
                {"Key": "deregistration_delay.timeout_seconds", "Value": company.deregistration_delay},
            ],
        )
        port = self._open_health(service, environment)
        listener = first(
            wire.query(
                "elasticloadbalancing",
                "CreateListener",
                LoadBalancerArn=balancer,
                Protocol="HTTP",
                Port=port,
                DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
                Tags=listed(company.resource_tags(service, environment, name, "alb")),
            ),
            "ListenerArn",
        )
        backend = get_backend("elbv2")[company.account][company.region]
        backend.load_balancers[balancer].dns_name = "localhost"
        backend.load_balancers[balancer].state = "active"
        return balancer, group, listener, port

    def _log_groups(self, service: str, environment: str, ground: Ground) -> None:
        for kind, days in self._company.environments[environment].retention.items():
            name = naming.log_group(service, environment, kind)
            tags = self._company.resource_tags(service, environment, name, "logging")
            self._wire.json(
                "logs", "CreateLogGroup", logGroupName=name, kmsKeyId=ground.keys["cloudwatch-logs"], tags=tags
            )
            self._wire.json("logs", "PutRetentionPolicy", logGroupName=name, retentionInDays=days)

    def _alarms(self, service: str, environment: str, balancer: str) -> None:
        company = self._company
        prefix = naming.alarm_prefix(service, environment)
        topic = first(self._wire.query("sns", "CreateTopic", Name=f"{service}-{environment}-alerts"), "TopicArn")
        task_dimensions = [
            {"Name": "ServiceName", "Value": naming.ecs_service(service, environment)},
            {"Name": "ClusterName", "Value": naming.cluster(service, environment)},
        ]
        suffix = balancer.split(":loadbalancer/")[1]
        for name, space, metric, statistic, threshold, dimensions, text in (
            ("cpu-high", "AWS/ECS", "CPUUtilization", "Average", 80, task_dimensions, "CPU utilisation is too high"),
            (
                "memory-high",
                "AWS/ECS",
                "MemoryUtilization",
                "Average",
                85,
                task_dimensions,
                "Memory utilisation is too high",
            ),
            (
                "alb-5xx-high",
                "AWS/ApplicationELB",
                "HTTPCode_Target_5XX_Count",
                "Sum",
                10,
                [{"Name": "LoadBalancer", "Value": suffix}],
                "The load balancer returns too many 5xx errors",
            ),
        ):
            self._wire.query(
                "monitoring",
                "PutMetricAlarm",
                AlarmName=f"{prefix}{name}",
                AlarmDescription=f"{service} in {environment}: {text}",
                Namespace=space,
                MetricName=metric,
                Statistic=statistic,
                Threshold=threshold,
                ComparisonOperator="GreaterThanThreshold",
                EvaluationPeriods=2,
                Period=300,
                Dimensions=dimensions,
                AlarmActions=[topic],
                Tags=listed(company.resource_tags(service, environment, f"{prefix}{name}", "monitoring")),
            )

    def _states(self, state: ApplicationState) -> None:
        """A state version per apply, and the digest that Terraform keeps beside the lock."""
        company, service, environment = self._company, state.service, state.environment
        bucket = company.environments[environment].state_bucket
        key = naming.STATE_KEY.format(service=service)
        family = naming.task_family(service, environment)
        definitions = get_backend("ecs")[company.account][company.region].task_definitions[family]
        body = b""
        for build in company.builds:
            containers = definitions[build.number].container_definitions
            body = tfstate.application_document(
                company, service, environment, build.number, state.resources(build, containers)
            )
            self._wire.s3("PUT", f"/{bucket}/{key}", body)
        versions = get_backend("s3")[company.account]["aws"].buckets[bucket].keys.getlist(key)
        ages = {build.number: timedelta(hours=build.hours) for build in company.builds}
        for number, version in enumerate(versions, start=1):
            version.last_modified = (self._now - ages[number]).replace(tzinfo=None)
            self._trail.stored(bucket, version, company.writer(environment, number))
        self._wire.json(
            "dynamodb",
            "PutItem",
            TableName=naming.LOCK_TABLE,
            Item={
                "LockID": {"S": f"{bucket}/{key}-md5"},
                # Terraform's own choice of checksum; it guards against a stale read, not against an attacker.
                "Digest": {"S": hashlib.md5(body, usedforsecurity=False).hexdigest()},
            },
        )


_BALANCER_ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "client_keep_alive.seconds": "3600",
    "connection_logs.s3.enabled": "false",
    "deletion_protection.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
}
"""What AWS sets by itself, and moto does not."""
_REPLACED = "Service deployment was replaced by a newer service deployment."
