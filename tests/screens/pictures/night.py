"""What AWS answers in the pictures: one bad night, with long names, Korean, and texts that would like to drive the terminal."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from infraconsole.config import Config, parse
from infraconsole.errors import AwsNotFound
from tests.screens.conftest import deployment, just_now, task
from tests.screens.test_containers import NOT_FOUND, stopped
from tests.screens.test_exports import ACCOUNT, ExportsAccess
from tests.screens.test_state import resource, state
from tests.screens.test_terminals import HOSTILE

LONG = "settlement-reconciliation-batch"
KOREAN = "결제 정산 배치가 실패했습니다"
REGISTRY = f"{ACCOUNT}.dkr.ecr.ap-northeast-2.amazonaws.com"
VPC = "vpc-0123456789abcdef0"


class Night(ExportsAccess):
    """Also a bucket with versions of each state, locks by the state's key, a network and a registry."""

    def __init__(self) -> None:
        super().__init__()
        self.locks: dict[str, str] = {}
        password = resource("db", "aws_db_instance", id="prod-shared-mysql", password="hunter2", allocated_storage=200)
        queue = resource("jobs", id="q-1", name="settlement-jobs", visibility_timeout_seconds=30, tags={"팀": "정산"})
        self.versions: list[tuple[str, bytes | None]] = [
            ("3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY", state(412, queue, password, resource("more", id="q-2", name="dead-letters"))),
            ("2sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHX", state(411, resource("jobs", id="q-1", name="settlement-jobs",
                                                                   visibility_timeout_seconds=900, tags={"팀": "결제"}), password)),
            ("1sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHW", None),
            ("0sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHV", state(3, lineage="another")),
        ]  # fmt: skip

    # S3 and DynamoDB

    def _ListObjectVersions(self, Prefix: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        versions, markers = [], []
        for place, (version, content) in enumerate(self.versions):
            at = just_now() - timedelta(days=place, hours=2 * place + 1)
            row = {"Key": Prefix, "VersionId": version, "IsLatest": place == 0, "LastModified": at}
            if content is None:
                markers.append(row)
            else:
                versions.append({**row, "Size": len(content), "ETag": f'"{version}"'})
        return {"Versions": versions, "DeleteMarkers": markers}

    def _HeadObject(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        version, content = self.versions[0]
        at = just_now() - timedelta(hours=1)
        return {"VersionId": version, "ETag": f'"{version}"', "ContentLength": len(content or b""), "LastModified": at}

    def _GetObject(self, Key: str, VersionId: str = "", **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        if not Key.endswith("/terraform.tfstate"):
            raise AwsNotFound("There is none.", operation="s3:GetObject", code="NoSuchKey")
        content = dict(self.versions).get(VersionId or self.versions[0][0])
        if content is None:
            raise AwsNotFound("There is none.", operation="s3:GetObject", code="NoSuchVersion")
        return {**self._HeadObject(), "Body": content, "ContentLength": len(content)}

    def _ListObjectsV2(self, Bucket: str, **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        head = self._HeadObject()
        found = {"ETag": head["ETag"], "Size": head["ContentLength"], "LastModified": head["LastModified"]}
        return {"Contents": [{"Key": f"{name}/terraform.tfstate", **found} for name in SERVICES]}

    def _GetItem(self, **asked: Any) -> dict[str, Any]:  # noqa: N802
        held = self.locks.get(asked["Key"]["LockID"]["S"])
        return {"Item": {"Info": {"S": held}}} if held else {}

    # What exports name

    def _DescribeVpcs(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        return {"Vpcs": [{"VpcId": VPC, "State": "available", "CidrBlock": "10.0.0.0/16", "OwnerId": ACCOUNT}]}

    def _DescribeSubnets(self, Filters: list[dict[str, Any]], **_: Any) -> dict[str, Any]:  # noqa: N802, N803
        return {
            "Subnets": [
                {"SubnetId": each, "VpcId": VPC, "AvailabilityZone": f"ap-northeast-2{zone}", "State": "available",
                 "CidrBlock": f"10.0.{number}.0/24", "AvailableIpAddressCount": 200 * number, "OwnerId": ACCOUNT,
                 "Tags": [{"Key": "Tier", "Value": "data"}]}
                for number, (each, zone) in enumerate(zip(Filters[0]["Values"], "abcd", strict=False))
            ]
        }  # fmt: skip

    def _DescribeKey(self, KeyId: str) -> dict[str, Any]:  # noqa: N802, N803
        key = {
            "KeyId": KeyId.rpartition("/")[2],
            "Arn": KeyId,
            "KeyManager": "CUSTOMER",
            "KeySpec": "SYMMETRIC_DEFAULT",
        }
        deleted = {"KeyState": "PendingDeletion", "Enabled": False, "DeletionDate": just_now() + timedelta(days=5)}
        return {"KeyMetadata": {**key, "Origin": "AWS_KMS", **deleted}}

    def _GetKeyRotationStatus(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        return {"KeyRotationEnabled": True}

    def _ListAliases(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        return {"Aliases": [{"AliasName": "alias/rds"}]}

    def _DescribeRepositories(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        arn = f"arn:aws:ecr:ap-northeast-2:{ACCOUNT}:repository"
        return {
            "repositories": [
                {
                    "repositoryName": name,
                    "repositoryArn": f"{arn}/{name}",
                    "repositoryUri": f"{REGISTRY}/{name}",
                    "registryId": ACCOUNT,
                }
                for name in SERVICES
            ]
        }

    def _DescribeImages(self, **_: Any) -> dict[str, Any]:  # noqa: N802
        tags = (
            "v1.4.2",
            "v1.5.0-rc.1+build.20261126.hotfix-for-the-settlement-window",
            "9f2c1aa",
            "v1.4.1",
            "v1.4.0",
            "v1.3.9",
        )
        return {
            "imageDetails": [
                {
                    "imageDigest": f"sha256:{number}",
                    "imageTags": [tag],
                    "imagePushedAt": just_now() - timedelta(hours=20 * number + 1),
                }
                for number, tag in enumerate(tags)
            ]
        }


SERVICES = ("fileflow", "authhub", "crawler", LONG)


def settings(services: dict[str, Any] | None = None, infrastructure: str = "", file: Path | None = None) -> Config:
    """`services` and `infrastructure` say where their code is."""
    code = {"infrastructure": {"path": infrastructure}} if infrastructure else {}
    return parse(
        {
            **code,
            "region": "ap-northeast-2",
            "services": {name: {} for name in SERVICES} | (services or {}),
            "environments": {
                name: {"state_bucket": f"ryuqqq-{name}-tfstate", "lock_table": "terraform-lock", "account": ACCOUNT}
                for name in ("dev", "staging", "prod")
            },
        },
        file,
    )


def a_bad_night() -> Night:
    """prod of fileflow cannot pull its image, authhub's alarms ring, the crawler's staging is gone and its dev has no room."""
    aws = Night()
    for service in SERVICES:
        for environment, desired in (("dev", 1), ("staging", 2), ("prod", 3)):
            aws.add(service, environment, running=desired, desired=desired)
            for each in aws.services[f"{service}-{environment}-service"]["deployments"]:
                each["createdAt"] -= timedelta(days=3, hours=desired)
                each["updatedAt"] -= timedelta(days=3, hours=desired)
    _cannot_pull(aws)
    _has_no_room(aws)
    _rings(aws)
    del aws.services["crawler-staging-service"]
    for name, found in aws.definitions.items():
        for container in found["containerDefinitions"]:
            container["image"] = container["image"].replace("/fileflow:", f"/{name.rpartition('-')[0]}:")
    for key, value in (
        ("network/public-subnet-ids", "subnet-0aaaaaaaaaaaaaaa3"),
        ("network/private-subnet-ids", "subnet-0ccccccccccccccc1,subnet-0ddddddddddddddd2"),
    ):
        aws.put(f"/shared/{key}", value, "StringList")
    aws.put("/shared/network/vpc-id", VPC)
    aws.put(f"/shared/ecr/{LONG}-repository-url", f"https://{REGISTRY}/{LONG}")
    aws.put("/shared/monitoring/메모", f"{KOREAN} {HOSTILE}")
    return aws


def _cannot_pull(aws: Night) -> None:
    aws.add("fileflow", "prod", running=0, desired=3, revision=8, state="IN_PROGRESS", failed=12, tag="7bd6b34",
            event="is unable to consistently start tasks successfully.")  # fmt: skip
    service = aws.services["fileflow-prod-service"]
    before = deployment("fileflow-prod:7", "ACTIVE", "COMPLETED", 3, 2, 0)
    before["createdAt"] -= timedelta(days=9)
    service["deployments"].append(before)
    service["runningCount"], service["pendingCount"] = 2, 1
    service["events"] += [_event(number, minutes, message) for number, (minutes, message) in enumerate(_EVENTS, 2)]
    aws.tasks["fileflow-prod-service"] = [
        *(stopped(number, NOT_FOUND, "TaskFailedToStart", minutes=2 + number) for number in range(7)),
        stopped(20, f"Essential container in task exited: {KOREAN}", "EssentialContainerExited", minutes=4, exit_code=137),
        *(stopped(number, f"Scaling activity initiated by (deployment ecs-svc/{number})", "ServiceSchedulerInitiated", minutes=40)
          for number in (30, 31)),
        *(task("fileflow-prod", 7, number) for number in (40, 41)),
    ]  # fmt: skip
    for raw in aws.tasks["fileflow-prod-service"]:
        tag = "7bd6b34" if raw["taskDefinitionArn"].endswith(":8") else "v1.7.0"
        raw["containers"][0]["image"] = f"{REGISTRY}/fileflow:{tag}"
    aws.targets = [
        {"Target": {"Id": "10.0.12.34", "Port": 8080}, "TargetHealth": {"State": "healthy"}},
        {"Target": {"Id": "10.0.12.35", "Port": 8080},
         "TargetHealth": {"State": "unhealthy", "Reason": "Target.ResponseCodeMismatch",
                          "Description": "Health checks failed with these codes: [502]"}},
        {"Target": {"Id": "10.0.12.36", "Port": 8080},
         "TargetHealth": {"State": "draining", "Reason": "Target.DeregistrationInProgress",
                          "Description": "Target deregistration is in progress"}},
    ]  # fmt: skip


def _event(number: int, minutes: float, message: str) -> dict[str, Any]:
    at = just_now() - timedelta(minutes=minutes)
    return {"id": f"e{number}", "createdAt": at, "message": f"(service fileflow-prod-service) {message}"}


_GROUP = f"arn:aws:elasticloadbalancing:ap-northeast-2:{ACCOUNT}:targetgroup/fileflow-prod/0123456789abcdef"
_CODES = "Health checks failed with these codes: [502]"
_EVENTS = (
    (3, f"has started 3 tasks: (task {'0f3a' * 8}) (task {'1c7b' * 8}) (task {'2e5d' * 8})."),
    (4, f"(task {'0f3a' * 8}) (port 8080) is unhealthy in (target-group {_GROUP}) due to (reason {_CODES})."),
    (9, f"deregistered 1 targets in (target-group {_GROUP})"),
    (11, HOSTILE),
    (12, f"was unable to place a task. Reason: {KOREAN}: 서브넷에 남은 IP 주소가 없습니다."),
    (60 * 26, "has reached a steady state."),
)  # fmt: skip


def _has_no_room(aws: Night) -> None:
    aws.add("crawler", "dev", running=0, desired=1, revision=31, state="IN_PROGRESS", failed=4, tag="v2.0.0-rc.1.build-20261126",
            event=f"was unable to place a task. Reason: {HOSTILE}")  # fmt: skip


def _rings(aws: Night) -> None:
    def alarm(name: str, now: str, reason: str) -> dict[str, Any]:
        at = just_now() - timedelta(minutes=17)
        return {"AlarmName": name, "StateValue": now, "StateReason": reason, "StateUpdatedTimestamp": at}

    crossed = "Threshold Crossed: 3 out of the last 3 datapoints [41.0 (26/11/26 05:03:00)] were greater than the threshold (10.0)."
    aws.alarms = [
        alarm("authhub-prod-5xx", "ALARM", crossed),
        alarm("authhub-prod-latency-p99-of-the-login-endpoint-behind-the-internal-load-balancer", "ALARM", crossed),
        alarm("authhub-prod-cpu", "OK", "Threshold Crossed: no datapoints were greater than the threshold."),
        alarm(f"{LONG}-staging-memory", "INSUFFICIENT_DATA", "Unchecked: Initial alarm creation"),
    ]


def lock_state(aws: Night, service: str, environment: str) -> None:
    """Somebody's laptop has held that state since this morning."""
    place = f"ryuqqq-{environment}-tfstate/{service}/terraform.tfstate"
    aws.locks[place] = json.dumps(
        {
            "ID": "6f1c9e2a-0d5b-4d3a-9b3e-0a1b2c3d4e5f",
            "Operation": "OperationTypeApply",
            "Who": "kim@macbook-pro.local",
            "Version": "1.11.4",
            "Created": (just_now() - timedelta(hours=3, minutes=12)).isoformat().replace("+00:00", "Z"),
            "Path": place,
        }
    )


_EXHAUSTED = (
    "java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out after 30000ms "
    "(total=40, active=40, idle=0, waiting=117)"
)


def logged(aws: Night) -> None:
    """What a service of fileflow prod writes before it gives up: every few seconds, in two languages, once with a stack trace."""
    lines = (
        "2026-11-26T05:11:05.123Z INFO  Listening on 0.0.0.0:8080",
        "2026-11-26T05:11:12.001Z WARN  connection pool is at 38 of 40",
        f"2026-11-26T05:11:19.400Z ERROR {KOREAN}: {_EXHAUSTED}",
        "\tat com.zaxxer.hikari.pool.HikariPool.createTimeoutException(HikariPool.java:696)",
        f"attacker says {HOSTILE}",
        '{"level":"error","msg":"upstream answered 502","path":"/api/v1/files/한글 파일 이름.pdf","ms":30012}',
        "2026-11-26T05:11:47.000Z INFO  health check answered 502",
    )
    aws.logs = [
        {
            "timestamp": int((just_now() - timedelta(minutes=9) + timedelta(seconds=7 * number)).timestamp() * 1000),
            "logStreamName": f"ecs/app/{number % 2 + 40:032x}",
            "message": lines[number % len(lines)],
            "eventId": f"e{number}",
        }
        for number in range(3 * len(lines))
    ]
