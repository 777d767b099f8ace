"""Builds the company in the emulator: network, keys, exports, registry, databases, and each service in each environment
with its history. It runs once, at the start of the world's process, through the API itself wherever the API can."""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
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
from infraconsole.world.logs import LogWriter
from infraconsole.world.rollout import HEALTHY, PastDeployment, Revision, Settings
from infraconsole.world.scenarios import ENVIRONMENT, SERVICE, Scenario
from infraconsole.world.trail import TrailWriter
from infraconsole.world.wire import Wire, first

Tags = dict[str, str]


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
        self._database_users: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._resources: defaultdict[tuple[str, str], list[tfstate.StoredResource]] = defaultdict(list)

    def run(self) -> None:
        ground = self._ground()
        for environment in self._company.environments:
            self._database(environment, ground)
            self._state_store(environment, ground)
        self._trail.set_up()
        self._lock_table()
        for service in self._company.services:
            self._registry(service)
            for environment in self._company.environments:
                self._deployment(service, environment, ground)
        for environment in self._company.environments:
            self._keep_database_group(environment, ground)
        self._module_states()

    # Shared infrastructure

    def _ground(self) -> Ground:
        wire, company = self._wire, self._company
        vpc = first(wire.query("ec2", "CreateVpc", CidrBlock=company.network["vpc"]), "vpcId")
        tags = self._tag_ec2(vpc, "shared-vpc", "network")
        self._keep("network", "aws_vpc", "main", tags, id=vpc, cidr=company.network["vpc"], **self._defaults(vpc))
        subnets: dict[str, list[str]] = {}
        for tier in ("public", "private", "data"):
            subnets[tier] = []
            for zone, block in zip(company.zones, company.network[tier], strict=True):
                where = f"{company.region}{zone}"
                xml = wire.query("ec2", "CreateSubnet", VpcId=vpc, CidrBlock=block, AvailabilityZone=where)
                subnet = first(xml, "subnetId")
                tags = self._tag_ec2(subnet, f"shared-{tier}-{zone}", "network", Tier=tier)
                self._keep(
                    "network",
                    "aws_subnet",
                    tier,
                    tags,
                    key=len(subnets[tier]),
                    id=subnet,
                    cidr=block,
                    zone=where,
                    zone_id=first(xml, "availabilityZoneId"),
                    vpc=vpc,
                )
                subnets[tier].append(subnet)
            # The third zone came later.
            before = ",".join(subnets[tier][:2])
            self._export(f"network/{tier}-subnet-ids", ",".join(subnets[tier]), kind="StringList", before=before)
        self._export("network/vpc-id", vpc)
        keys = {}
        for kind in naming.KMS_KINDS:
            tags = company.resource_tags("shared", "shared", f"{kind}-key", "kms")
            description, policy = f"Key for {kind}", _key_policy(company.account)
            listed = [{"TagKey": key, "TagValue": value} for key, value in tags.items()]
            made = wire.json(
                "kms",
                "CreateKey",
                Description=description,
                Policy=policy,
                Tags=listed,
                KeyUsage="ENCRYPT_DECRYPT",
            )
            key_id, keys[kind] = made["KeyMetadata"]["KeyId"], made["KeyMetadata"]["Arn"]
            wire.json("kms", "CreateAlias", AliasName=f"alias/{kind}", TargetKeyId=key_id)
            wire.json("kms", "EnableKeyRotation", KeyId=key_id)
            self._keep("kms", "aws_kms_key", "this", tags, key=kind, id=key_id, description=description, policy=policy)
            self._keep("kms", "aws_kms_alias", "this", key=kind, id=f"alias/{kind}", target=key_id)
            self._export(f"kms/{kind}-key-arn", keys[kind])
        self._export("monitoring/alert-webhook-url", _ALERT_WEBHOOK, kind="SecureString", key=keys["ssm"])
        return Ground(vpc, subnets, keys, {})

    def _registry(self, service: str) -> None:
        name = naming.ecr_repository(service)
        tags = {**self._company.resource_tags("shared", "shared", name, "ecr"), "Service": service}
        made = self._wire.json(
            "ecr",
            "CreateRepository",
            repositoryName=name,
            imageTagMutability="IMMUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
            tags=_listed(tags),
        )["repository"]
        self._keep(f"ecr/{service}", "aws_ecr_repository", "this", tags, id=name)
        self._export(f"ecr/{service}-repository-url", made["repositoryUri"])
        self._export(f"ecr/{service}-repository-arn", made["repositoryArn"])
        for tag in self._company.tags_in_registry(service):
            digest = hashlib.sha256(f"{service}:{tag}".encode()).hexdigest()
            manifest = {
                "schemaVersion": 2,
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "config": {"digest": f"sha256:{digest}", "size": 7023},
                "layers": [],
            }
            self._wire.json(
                "ecr",
                "PutImage",
                repositoryName=name,
                imageTag=tag,
                imageManifest=json.dumps(manifest),
                imageDigest=f"sha256:{digest}",
            )

    def _database(self, environment: str, ground: Ground) -> None:
        wire, about = self._wire, self._company.environments[environment]
        name = f"{environment}-shared-mysql"
        tags = self._company.resource_tags("shared", environment, name, "rds")
        backup_days = 7 if environment == "prod" else 1
        group = self._security_group(f"{name}-sg", ground.vpc, f"Shared RDS of {environment}", 3306)
        ground.databases[environment] = group
        wire.query(
            "rds",
            "CreateDBSubnetGroup",
            **{
                "DBSubnetGroupName": f"{name}-subnets",
                "DBSubnetGroupDescription": f"Data subnets of {name}",
                "SubnetIds.SubnetIdentifier": ground.subnets["data"],
                "Tags.Tag": _listed(tags),
            },
        )
        xml = wire.query(
            "rds",
            "CreateDBInstance",
            **{
                "DBInstanceIdentifier": name,
                "DBInstanceClass": about.database_class,
                "Engine": "mysql",
                "EngineVersion": "8.0.35",
                "MasterUsername": "admin",
                "MasterUserPassword": _password(name),
                "AllocatedStorage": 100,
                "StorageType": "gp3",
                "StorageEncrypted": True,
                "KmsKeyId": ground.keys["rds"],
                "MultiAZ": about.multi_az,
                "BackupRetentionPeriod": backup_days,
                "DBSubnetGroupName": f"{name}-subnets",
                "VpcSecurityGroupIds.VpcSecurityGroupId": [group],
                "Tags.Tag": _listed(tags),
            },
        )
        address = first(xml, "Address")
        secret_name = f"{name}-master-{self._company.secret_suffix('shared', environment)}"
        secret = self._secret(
            secret_name,
            {"username": "admin", "password": _password(name), "host": address, "port": 3306},
            tags,
            ground,
        )
        self._keep(
            "rds",
            "aws_db_subnet_group",
            "shared",
            tags,
            environment=environment,
            id=f"{name}-subnets",
            description=f"Data subnets of {name}",
            subnets=sorted(ground.subnets["data"]),
            vpc=ground.vpc,
        )
        self._keep(
            "rds",
            "aws_secretsmanager_secret",
            "master",
            tags,
            environment=environment,
            id=secret,
            name=secret_name,
            kms=ground.keys["secrets-manager"],
            recovery_days=30,
        )
        self._keep(
            "rds",
            "aws_db_instance",
            "shared",
            tags,
            environment=environment,
            id=first(xml, "DbiResourceId"),
            name=name,
            address=address,
            backup_days=backup_days,
            groups=[group],
            kms=ground.keys["rds"],
            multi_az=about.multi_az,
            restorable=self._now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **{"class": about.database_class},
        )
        self._export(f"rds/{environment}/endpoint", f"{address}:3306")
        self._export(f"rds/{environment}/identifier", name)
        self._export(f"rds/{environment}/security-group-id", group)
        self._export(f"rds/{environment}/master-secret-arn", secret)

    def _state_store(self, environment: str, ground: Ground) -> None:
        bucket = self._company.environments[environment].state_bucket
        location = (
            '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<LocationConstraint>{self._company.region}</LocationConstraint></CreateBucketConfiguration>"
        )
        versioning = (
            '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            "<Status>Enabled</Status></VersioningConfiguration>"
        )
        encryption = (
            '<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>'
            "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>"
            f"<KMSMasterKeyID>{ground.keys['s3']}</KMSMasterKeyID></ApplyServerSideEncryptionByDefault>"
            "</Rule></ServerSideEncryptionConfiguration>"
        )
        self._wire.s3("PUT", f"/{bucket}", location.encode())
        self._wire.s3("PUT", f"/{bucket}", versioning.encode(), "versioning")
        self._wire.s3("PUT", f"/{bucket}", encryption.encode(), "encryption")

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
            tags=_listed(tags, lower=True),
        )
        own = application.make(self._wire, company, service, environment, ground)
        self._database_users[environment].append(
            tfstate.ingress(3306, f"MySQL from {service}-{environment} tasks", group=own.tasks_group)
        )
        balancer, group, listener, port = self._load_balancer(service, environment, ground, own.alb_group)
        self._log_groups(service, environment, ground)
        credentials = self._secret(
            f"{service}-{environment}-db-credentials-{company.secret_suffix(service, environment)}",
            {"username": f"{service}_user", "password": _password(service + environment), "database": service},
            company.resource_tags(service, environment, f"{service}-{environment}-db-credentials", "database"),
            ground,
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
            tags=_listed(company.resource_tags(service, environment, name, "ecs"), lower=True),
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
            tags=_listed(company.resource_tags(service, environment, family, "ecs"), lower=True),
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
                Tags=_listed(company.resource_tags(service, environment, name, "alb")),
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
                Tags=_listed(company.resource_tags(service, environment, group_name, "alb")),
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
                Tags=_listed(company.resource_tags(service, environment, name, "alb")),
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
                Tags=_listed(company.resource_tags(service, environment, f"{prefix}{name}", "monitoring")),
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

    # Small helpers

    def _export(self, name: str, value: str, kind: str = "String", *, before: str = "", key: str = "") -> None:
        """`before` is the value of the version before; `key` the KMS key of a SecureString."""
        full = f"{naming.EXPORT_ROOT}/{name}"
        tags = self._company.resource_tags("shared", "shared", name.replace("/", "-"), name.split("/")[0])
        description = f"{name.split('/')[-1]} for all services"
        about = {"Name": full, "Type": kind, "Description": description}
        if key:
            about["KeyId"] = key
        self._wire.json("ssm", "PutParameter", **about, Value=before or value, Tags=_listed(tags))
        if before:
            self._wire.json("ssm", "PutParameter", **about, Value=value, Overwrite=True)
        versions = get_backend("ssm")[self._company.account][self._company.region]._parameters[full]
        module, environment = self._owner(name)
        label, for_each = _in_code(name)
        self._keep(
            module,
            "aws_ssm_parameter",
            label,
            tags,
            key=for_each,
            environment=environment,
            id=full,
            description=description,
            kind=kind,
            kms=key,
            value=value,
            version=len(versions),
        )
        for days, version in zip((41, 212), reversed(versions), strict=False):
            version.last_modified_date = (self._now - timedelta(days=days)).replace(tzinfo=None)

    def _keep(
        self,
        module: str,
        kind: str,
        label: str,
        tags: Tags | None = None,
        /,
        *,
        key: str | int | None = None,
        environment: str = "prod",
        **values: Any,
    ) -> None:
        """A resource of a module's state. The infrastructure's provider has no default tags."""
        kept = tfstate.StoredResource(kind, label, values, tags or {}, key=key)
        self._resources[(module, environment)].append(kept)

    def _keep_database_group(self, environment: str, ground: Ground) -> None:
        """With the rules of all services, which their own repositories have added."""
        name = f"{environment}-shared-mysql-sg"
        own = tfstate.ingress(3306, "From the VPC", block=self._company.network["vpc"])
        self._keep(
            "rds",
            "aws_security_group",
            "rds",
            self._company.resource_tags("shared", "shared", name, "security-group"),
            environment=environment,
            id=ground.databases[environment],
            name=name,
            description=f"Shared RDS of {environment}",
            ingress=[own, *self._database_users[environment]],
            vpc=ground.vpc,
        )

    def _defaults(self, vpc: str) -> dict[str, str]:
        """What a VPC is born with: network ACL, route table and security group."""
        wire, of_vpc = self._wire, {"Name": "vpc-id", "Value": [vpc]}
        group = [of_vpc, {"Name": "group-name", "Value": ["default"]}]
        return {
            "acl": first(wire.query("ec2", "DescribeNetworkAcls", Filter=[of_vpc]), "networkAclId"),
            "routes": first(wire.query("ec2", "DescribeRouteTables", Filter=[of_vpc]), "routeTableId"),
            "group": first(wire.query("ec2", "DescribeSecurityGroups", Filter=group), "groupId"),
        }

    def _owner(self, name: str) -> tuple[str, str]:
        """The module that an export belongs to, and the environment of its state; prod's bucket has those for all."""
        category, _, rest = name.partition("/")
        if category == "ecr":
            service = next(known for known in self._company.services if rest.startswith(f"{known}-"))
            return f"ecr/{service}", "prod"
        return category, rest.partition("/")[0] if category == "rds" else "prod"

    def _module_states(self) -> None:
        for (module, environment), kept in self._resources.items():
            bucket = self._company.environments[environment].state_bucket
            key = naming.MODULE_STATE_KEY.format(module=module)
            self._wire.s3("PUT", f"/{bucket}/{key}", tfstate.module_document(self._company, module, kept))
            version = get_backend("s3")[self._company.account]["aws"].buckets[bucket].keys.getlist(key)[-1]
            self._trail.stored(bucket, version, self._company.writer(environment, 1))

    def _secret(self, name: str, value: dict[str, Any], tags: Tags, ground: Ground) -> str:
        made = self._wire.json(
            "secretsmanager",
            "CreateSecret",
            Name=name,
            SecretString=json.dumps(value),
            KmsKeyId=ground.keys["secrets-manager"],
            Tags=_listed(tags),
        )
        return str(made["ARN"])

    def _security_group(self, name: str, vpc: str, description: str, port: int) -> str:
        xml = self._wire.query("ec2", "CreateSecurityGroup", GroupName=name, GroupDescription=description, VpcId=vpc)
        group = first(xml, "groupId")
        self._tag_ec2(group, name, "security-group")
        permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
        permission_range = [{"CidrIp": self._company.network["vpc"], "Description": "From the VPC"}]
        self._wire.query(
            "ec2",
            "AuthorizeSecurityGroupIngress",
            GroupId=group,
            IpPermissions=[{**permission, "IpRanges": permission_range}],
        )
        return group

    def _tag_ec2(self, resource: str, name: str, component: str, **more: str) -> Tags:
        tags = {**self._company.resource_tags("shared", "shared", name, component), **more}
        self._wire.query("ec2", "CreateTags", ResourceId=[resource], Tag=_listed(tags))
        return tags


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
_ALERT_WEBHOOK = "https://alerts.ryuqqq.com/hooks/4f1c0d7be2"
_REPLACED = "Service deployment was replaced by a newer service deployment."


def _in_code(name: str) -> tuple[str, str | None]:
    """What the Terraform code in assets/world calls an export: its label, and its key where it has `for_each`."""
    category, leaf = name.split("/")[0], name.rpartition("/")[2]
    if category == "kms":
        return "key_arn", leaf.removesuffix("-key-arn")
    label = leaf[leaf.index("repository") :] if category == "ecr" else leaf
    return label.replace("-", "_"), None


def _listed(tags: Tags, *, lower: bool = False) -> list[Tags]:
    key, value = ("key", "value") if lower else ("Key", "Value")
    return [{key: name, value: text} for name, text in tags.items()]


def _suffix(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _password(text: str) -> str:
    """A password of nothing: the databases behind it do not exist."""
    letters = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    dice = random.Random(text)  # noqa: S311 - the same each time, on purpose
    return "".join(dice.choice(letters) for _ in range(32))


def _key_policy(account: str) -> str:
    statement = {
        "Sid": "Enable IAM policies",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
