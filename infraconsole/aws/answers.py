"""Whether an answer is what AWS documents: each value of its type, and there what a decision rests on.

botocore passes on whatever it can read: a text where a list belongs becomes a list of its letters, and what is missing just
is not there, which would read as "there is no such service". Types are checked against botocore's own model; what is
never missing stands in `NEEDED`, since the model calls nearly everything optional.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

NEEDED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("cloudtrail", "DescribeTrailsResponse"): ("trailList",),
    ("cloudtrail", "GetEventSelectorsResponse"): ("TrailARN",),
    ("cloudtrail", "Trail"): ("Name",),
    ("cloudwatch", "MetricAlarm"): ("AlarmName", "StateValue"),
    ("cloudwatch", "CompositeAlarm"): ("AlarmName", "StateValue"),
    ("ec2", "DescribeSecurityGroupsResult"): ("SecurityGroups",),
    ("ec2", "DescribeSubnetsResult"): ("Subnets",),
    ("ec2", "DescribeVpcsResult"): ("Vpcs",),
    ("ec2", "SecurityGroup"): ("GroupId",),
    ("ec2", "Subnet"): ("SubnetId", "VpcId"),
    ("ec2", "Vpc"): ("VpcId",),
    ("ecr", "DescribeImagesResponse"): ("imageDetails",),
    ("ecr", "DescribeRepositoriesResponse"): ("repositories",),
    ("ecr", "ImageDetail"): ("imageDigest",),
    ("ecr", "Repository"): ("repositoryName", "repositoryUri"),
    ("ecs", "ContainerDefinition"): ("name", "image"),
    ("ecs", "Deployment"): ("id", "status", "taskDefinition"),
    ("ecs", "DescribeServiceRevisionsResponse"): ("serviceRevisions",),
    ("ecs", "DescribeServicesResponse"): ("services",),
    ("ecs", "DescribeTaskDefinitionResponse"): ("taskDefinition",),
    ("ecs", "DescribeTasksResponse"): ("tasks",),
    ("ecs", "ListClustersResponse"): ("clusterArns",),
    ("ecs", "ListServiceDeploymentsResponse"): ("serviceDeployments",),
    ("ecs", "ListServicesResponse"): ("serviceArns",),
    ("ecs", "ListTaskDefinitionsResponse"): ("taskDefinitionArns",),
    ("ecs", "ListTasksResponse"): ("taskArns",),
    ("ecs", "Service"): (
        *("serviceName", "serviceArn", "clusterArn", "status", "deployments"),
        *("desiredCount", "runningCount", "pendingCount"),
    ),
    ("ecs", "ServiceDeploymentBrief"): ("serviceDeploymentArn", "status"),
    ("ecs", "ServiceRevision"): ("serviceRevisionArn",),
    ("ecs", "StopServiceDeploymentResponse"): ("serviceDeploymentArn",),
    ("ecs", "Task"): ("taskArn", "lastStatus", "desiredStatus", "taskDefinitionArn"),
    ("ecs", "TaskDefinition"): ("taskDefinitionArn", "containerDefinitions", "status"),
    ("ecs", "UpdateServiceResponse"): ("service",),
    ("elbv2", "DescribeListenersOutput"): ("Listeners",),
    ("elbv2", "DescribeLoadBalancersOutput"): ("LoadBalancers",),
    ("elbv2", "DescribeRulesOutput"): ("Rules",),
    ("elbv2", "DescribeTargetGroupAttributesOutput"): ("Attributes",),
    ("elbv2", "DescribeTargetGroupsOutput"): ("TargetGroups",),
    ("elbv2", "DescribeTargetHealthOutput"): ("TargetHealthDescriptions",),
    ("elbv2", "Listener"): ("ListenerArn",),
    ("elbv2", "LoadBalancer"): ("LoadBalancerArn", "DNSName"),
    ("elbv2", "TargetDescription"): ("Id",),
    ("elbv2", "TargetGroup"): ("TargetGroupArn", "TargetGroupName"),
    ("elbv2", "TargetHealth"): ("State",),
    ("elbv2", "TargetHealthDescription"): ("Target", "TargetHealth"),
    ("iam", "EvaluationResult"): ("EvalActionName", "EvalDecision"),
    ("iam", "ListAccountAliasesResponse"): ("AccountAliases",),
    ("iam", "SimulatePolicyResponse"): ("EvaluationResults",),
    ("kms", "AliasListEntry"): ("AliasName",),
    ("kms", "DescribeKeyResponse"): ("KeyMetadata",),
    ("kms", "GetKeyRotationStatusResponse"): ("KeyRotationEnabled",),
    ("kms", "KeyMetadata"): ("KeyId", "Arn", "KeyState"),
    ("kms", "ListAliasesResponse"): ("Aliases",),
    ("logs", "FilterLogEventsResponse"): ("events",),
    ("logs", "FilteredLogEvent"): ("timestamp", "logStreamName"),
    ("rds", "DBInstance"): ("DBInstanceIdentifier", "DBInstanceStatus"),
    ("rds", "DBInstanceMessage"): ("DBInstances",),
    ("s3", "DeleteMarkerEntry"): ("Key", "VersionId", "LastModified"),
    ("s3", "GetObjectOutput"): ("ETag", "LastModified"),
    ("s3", "HeadObjectOutput"): ("ETag", "LastModified"),
    ("s3", "ListObjectVersionsOutput"): ("Name", "IsTruncated"),
    ("s3", "ListObjectsV2Output"): ("Name", "IsTruncated"),
    ("s3", "Object"): ("Key",),
    ("s3", "ObjectVersion"): ("Key", "VersionId", "LastModified"),
    ("secretsmanager", "DescribeSecretResponse"): ("ARN", "Name"),
    ("ssm", "DescribeParametersResult"): ("Parameters",),
    ("ssm", "GetParameterHistoryResult"): ("Parameters",),
    ("ssm", "GetParameterResult"): ("Parameter",),
    ("ssm", "GetParametersByPathResult"): ("Parameters",),
    ("ssm", "GetParametersResult"): ("Parameters",),
    ("ssm", "GetServiceSettingResult"): ("ServiceSetting",),
    ("ssm", "Parameter"): ("Name", "Type", "Value", "Version"),
    ("ssm", "ParameterHistory"): ("Name", "Type", "Value", "Version"),
    ("ssm", "ParameterMetadata"): ("Name", "Type", "Version"),
    ("ssm", "PutParameterResult"): ("Version",),
    ("ssm", "ServiceSetting"): ("SettingValue",),
    ("sts", "GetCallerIdentityResponse"): ("Account", "Arn"),
}
"""By service and botocore's name of the structure: what AWS always answers with it, and what is made a decision of."""

MAY_BE_EMPTY: Mapping[tuple[str, str], str] = {
    ("cloudwatch", "DescribeAlarmsOutput"): "a page may have alarms of one kind only",
    ("dynamodb", "DeleteItemOutput"): "nothing is asked for",
    ("dynamodb", "DescribeTableOutput"): "only whether it may be asked",
    ("dynamodb", "GetItemOutput"): "no item is answered by leaving it out",
    ("dynamodb", "PutItemOutput"): "nothing is asked for",
    ("dynamodb", "UpdateItemOutput"): "nothing is asked for",
    ("s3", "DeleteObjectOutput"): "it is all in the status",
    ("s3", "GetBucketVersioningOutput"): "a bucket that never had versions is answered with nothing",
}
"""Answers of which nothing is needed, and why."""

_NEVER_NULL = {("dynamodb", "Item"), ("ecr", "imageDetails")}
"""Left out where there is none; a null there says something else."""
_JSON = {"json", "rest-json"}
_LARGEST = 2**63
_SERVICES = {"elasticloadbalancingv2": "elbv2"}


class Undocumented(Exception):
    """What was expected, and what came."""


def check(model: Any, answer: Mapping[str, Any]) -> None:
    """What botocore made of an answer that is no JSON, which is checked before. Raises Undocumented."""
    if model.output_shape is not None and (model.has_streaming_output or not _speaks_json(model)):
        _check(_service(model), model.output_shape, answer, "", _PARSED)


def check_raw(operation_model: Any, response_dict: Mapping[str, Any], **_: Any) -> None:
    """Called by botocore before it parses an answer: what AWS itself said, where that is JSON. Raises Undocumented."""
    model, body = operation_model, response_dict.get("body")
    if not _speaks_json(model) or int(response_dict["status_code"]) >= 300 or model.has_streaming_output:
        return
    if model.output_shape is None or not isinstance(body, bytes):
        return
    if not body.strip():
        raise Undocumented("expected an object, found an empty answer")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Undocumented(f"no JSON, but {body[:80].decode(errors='replace')!r}") from None
    if not isinstance(document, dict):
        raise Undocumented(f"expected an object, found {_named(document)}")
    _check(_service(model), model.output_shape, document, "", _RAW)


def check_stranger(http_response: Any, model: Any, **_: Any) -> None:
    """Called by botocore for every answer: a login page or a proxy's notice is no refusal by AWS. Raises Undocumented."""
    body = bytes(http_response.content or b"").strip() if not model.has_streaming_output else b""
    html = str(http_response.headers.get("content-type", "")).startswith("text/html")
    if _speaks_json(model) and html and body and not body.startswith(b"{"):
        raise Undocumented(f"no JSON, but {body[:80].decode(errors='replace')!r}")


def _speaks_json(model: Any) -> bool:
    service = model.service_model
    return str(getattr(service, "resolved_protocol", "") or service.metadata.get("protocol", "")) in _JSON


def _service(model: Any) -> str:
    name = str(model.service_model.service_name)
    return _SERVICES.get(name, name)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST


_Kinds = Mapping[str, tuple[str, Callable[[Any], bool]]]

_PARSED: _Kinds = {
    "string": ("a text", lambda value: isinstance(value, str)),
    "character": ("a text", lambda value: isinstance(value, str)),
    "integer": ("a whole number", _is_whole),
    "long": ("a whole number", _is_whole),
    "float": ("a number", _is_number),
    "double": ("a number", _is_number),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "timestamp": ("a time", lambda value: isinstance(value, datetime)),
}
_RAW: _Kinds = {**_PARSED, "timestamp": ("a time", lambda value: isinstance(value, str) or _is_number(value))}


def _check(service: str, shape: Any, value: Any, path: str, kinds: _Kinds) -> None:
    kind = shape.type_name
    if kind == "structure":
        if getattr(shape, "is_document_type", False) or getattr(shape, "is_eventstream", False):
            return
        _expect(isinstance(value, dict), path, "an object", value)
        _check_members(service, shape, value, path, kinds)
    elif kind == "list":
        _expect(isinstance(value, list), path, "a list", value)
        for number, item in enumerate(value):
            _check(service, shape.member, item, f"{path}[{number}]", kinds)
    elif kind == "map":
        _expect(isinstance(value, dict), path, "an object", value)
        for name, item in value.items():
            if item is not None or shape.value.type_name in _WORDS:
                _check(service, shape.value, item, f"{path}.{name}", kinds)
    elif kind in kinds:
        expected, fits = kinds[kind]
        _expect(fits(value), path, expected, value)


def _check_members(service: str, shape: Any, value: Mapping[str, Any], path: str, kinds: _Kinds) -> None:
    needed = NEEDED.get((service, shape.name), ())
    for name, member in shape.members.items():
        key = member.serialization.get("name", name) if kinds is _RAW else name
        where = f"{path}.{name}" if path else name
        found = value.get(key)
        if found is not None:
            _check(service, member, found, where, kinds)
        elif name in needed:
            _expect(False, where, "it to be there", None)
        elif key in value and (service, name) in _NEVER_NULL:
            _expect(False, where, _WORDS[member.type_name], None)


_WORDS = {"structure": "an object", "map": "an object", "list": "a list"}


def _expect(fits: bool, path: str, expected: str, found: Any) -> None:
    if not fits:
        raise Undocumented(f"{path or 'the answer'}: expected {expected}, found {_named(found)}")


def _named(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    for kind, name in ((dict, "an object"), (list, "a list"), (str, "a text"), (int, "a number"), (float, "a number")):
        if isinstance(value, kind):
            return name
    return type(value).__name__
