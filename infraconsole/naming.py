"""The guide's names as functions. Everything that composes a resource name does it here, so that a convention has one home."""

from __future__ import annotations

import re
from collections.abc import Iterable

EXPORT_ROOT = "/shared"
PRIMARY_REGION = "ap-northeast-2"
DR_REGION = "ap-northeast-1"
ENVIRONMENTS = ("dev", "staging", "prod")
HEALTH_PATH = "/actuator/health"
LOCK_TABLE = "terraform-lock"
STATE_KEY = "{service}/terraform.tfstate"
MODULE_ORDER = ("bootstrap", "network", "kms", "ecr", "rds")
"""The modules that others build on, in the order in which they have to be applied."""
MODULE_STATE_KEY = "{module}/terraform.tfstate"

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


def is_valid_name(name: str) -> bool:
    """Whether `name` can be a service or environment: lower case letters, digits and hyphens, beginning with a letter."""
    return _NAME.fullmatch(name) is not None


CODE_ENDINGS = (".tf", ".tf.json", ".tofu", ".tofu.json")
"""Of Terraform's files, and of those that only OpenTofu reads."""


def is_code(name: str) -> bool:
    """Whether a file of this name is code; what an editor leaves behind (`.a.tf.swp`, `a.tf~`) is not."""
    return name.endswith(CODE_ENDINGS) and not name.startswith(".")


def code_files(names: Iterable[str], *, tofu: bool) -> list[str]:
    """Those of a folder's files that are code, in their order by name: Terraform passes over `.tofu`, and OpenTofu over a `.tf`
    that has a `.tofu` of the same name beside it."""
    found = {name for name in names if is_code(name)}
    if not tofu:
        return sorted(name for name in found if name.endswith((".tf", ".tf.json")))
    return sorted(
        name
        for name in found
        if not (name.endswith(".tf") and f"{name[:-3]}.tofu" in found)
        and not (name.endswith(".tf.json") and f"{name[:-8]}.tofu.json" in found)
    )


def target_name(service: str, environment: str) -> str:
    """What a person types to confirm a change: `fileflow-prod`."""
    return f"{service}-{environment}"


def cluster(service: str, environment: str) -> str:
    return f"{service}-{environment}-cluster"


def ecs_service(service: str, environment: str) -> str:
    return f"{service}-{environment}-service"


def task_family(service: str, environment: str) -> str:
    return f"{service}-{environment}"


def container(service: str) -> str:
    return f"{service}-app"


def load_balancer(service: str, environment: str) -> str:
    return f"{service}-{environment}-alb"


def target_group(service: str, environment: str) -> str:
    return f"{service}-{environment}-tg"


def alarm_prefix(service: str, environment: str) -> str:
    return f"{service}-{environment}-"


def log_group(service: str, environment: str, kind: str = "application") -> str:
    """`kind` is application, access or error."""
    return f"/ecs/{service}-{environment}/{kind}"


def ecr_repository(service: str) -> str:
    return service


def tfvars_path(environment: str) -> str:
    """Of an environment's variables, relative to the application repository's Terraform root."""
    return f"environments/{environment}/terraform.tfvars"


KMS_KINDS = ("cloudwatch-logs", "secrets-manager", "rds", "s3", "sqs", "ssm", "elasticache")


def required_exports(service: str, root: str = EXPORT_ROOT) -> tuple[str, ...]:
    """The twelve exports without which a service cannot be deployed; the shared RDS is optional."""
    return (
        f"{root}/network/vpc-id",
        *(f"{root}/network/{tier}-subnet-ids" for tier in ("public", "private", "data")),
        *(f"{root}/kms/{kind}-key-arn" for kind in KMS_KINDS),
        f"{root}/ecr/{service}-repository-url",
    )


def rds_exports(environment: str, root: str = EXPORT_ROOT) -> tuple[str, ...]:
    return tuple(
        f"{root}/rds/{environment}/{leaf}"
        for leaf in ("endpoint", "identifier", "security-group-id", "master-secret-arn")
    )
