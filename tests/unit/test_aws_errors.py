"""Every row of the translation: AWS's codes, botocore's exceptions, and what the operator is told to do."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

import botocore.exceptions as b
import pytest
from botocore.parsers import ResponseParserError

from infraconsole.aws import errors as rows
from infraconsole.aws.answers import Undocumented
from infraconsole.aws.calls import TooLarge, TooLate
from infraconsole.aws.errors import iam_action, translated
from infraconsole.errors import (
    EXIT_PREREQUISITE,
    AccessDenied,
    AwsError,
    AwsFault,
    AwsNotFound,
    AwsRefused,
    ClockSkew,
    CredentialsExpired,
    CredentialsMissing,
    NetworkUnreachable,
    SsoLoginNeeded,
    Throttled,
    UnexpectedAnswer,
)

REGION = "ap-northeast-2"
SIGNATURE_EXPIRED = (
    "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z (20260101T001500Z - 5 min.)"
)
NOT_MATCHING = "The request signature we calculated does not match the signature you provided."


def answered(
    code: str, message: str = "words", status: int = 400, operation: str = "ecs:DescribeServices", **more: Any
) -> AwsError:
    headers = more.pop("headers", {})
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }
    error = b.ClientError(cast(Any, response), operation.partition(":")[2])
    return translated(error, operation, profile=more.pop("profile", "company-prod"), region=REGION, **more)


def unanswered(error: Exception, **more: Any) -> AwsError:
    return translated(error, "ecs:UpdateService", profile=more.pop("profile", "company-prod"), region=REGION, **more)


CODES = [
    ("ExpiredToken", "expired", 403, CredentialsExpired),
    ("ExpiredTokenException", "expired", 400, CredentialsExpired),
    ("RequestExpired", "Request has expired.", 400, CredentialsExpired),
    ("InvalidClientTokenId", "The security token included in the request is invalid.", 403, CredentialsMissing),
    ("UnrecognizedClientException", "The security token included in the request is invalid.", 400, CredentialsMissing),
    ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist", 403, CredentialsMissing),
    ("AuthFailure", "AWS was not able to validate the provided access credentials", 401, CredentialsMissing),
    ("SignatureDoesNotMatch", NOT_MATCHING, 403, CredentialsMissing),
    ("SignatureDoesNotMatch", SIGNATURE_EXPIRED, 403, ClockSkew),
    ("InvalidSignatureException", SIGNATURE_EXPIRED, 400, ClockSkew),
    ("InvalidSignatureException", "Signature not yet current: 2026 is still later than 2025", 400, ClockSkew),
    (
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
        403,
        ClockSkew,
    ),
    ("RequestInTheFuture", "in the future", 400, ClockSkew),
    ("AccessDenied", "Access Denied", 403, AccessDenied),
    ("AccessDeniedException", "is not authorized", 400, AccessDenied),
    ("UnauthorizedOperation", "You are not authorized to perform this operation.", 403, AccessDenied),
    ("403", "Forbidden", 403, AccessDenied),
    ("Throttling", "Rate exceeded", 400, Throttled),
    ("ThrottlingException", "Rate exceeded", 400, Throttled),
    ("TooManyRequestsException", "Rate exceeded", 429, Throttled),
    ("RequestLimitExceeded", "Request limit exceeded.", 503, Throttled),
    ("SlowDown", "Please reduce your request rate.", 503, Throttled),
    ("ProvisionedThroughputExceededException", "too fast", 400, Throttled),
    ("Whatever", "", 429, Throttled),
    ("NoSuchBucket", "The specified bucket does not exist", 404, AwsNotFound),
    ("NoSuchKey", "The specified key does not exist.", 404, AwsNotFound),
    ("404", "Not Found", 404, AwsNotFound),
    ("ClusterNotFoundException", "Cluster not found.", 400, AwsNotFound),
    ("ServiceNotFoundException", "Service not found.", 400, AwsNotFound),
    ("ParameterNotFound", "", 400, AwsNotFound),
    ("DBInstanceNotFound", "DBInstance x not found.", 404, AwsNotFound),
    ("TargetGroupNotFound", "One or more target groups not found", 400, AwsNotFound),
    ("RepositoryNotFoundException", "no such repository", 400, AwsNotFound),
    ("ResourceNotFoundException", "gone", 400, AwsNotFound),
    ("ClientException", "Unable to describe task definition.", 400, AwsNotFound),
    ("ClientException", "Fargate requires memory", 400, AwsRefused),
    ("InternalError", "We encountered an internal error.", 500, AwsFault),
    ("InternalFailure", "", 500, AwsFault),
    ("ServiceUnavailable", "", 503, AwsFault),
    ("ServerException", "Service Unavailable", 500, AwsFault),
    ("ServerException", "a server's fault with a client's status", 400, AwsFault),
    ("UnheardOf", "", 502, AwsFault),
    ("InvalidParameterException", "TaskDefinition is inactive", 400, AwsRefused),
    ("ServiceNotActiveException", "Service was not ACTIVE.", 400, AwsRefused),
]


@pytest.mark.parametrize(("code", "message", "status", "kind"), CODES)
def test_code_means(code: str, message: str, status: int, kind: type[AwsError]) -> None:
    error = answered(code, message, status)

    assert type(error) is kind
    assert (error.operation, error.code, error.words) == ("ecs:DescribeServices", code, message)
    assert code in error.cause
    assert "region ap-northeast-2, profile company-prod" in error.title or kind is AccessDenied
    assert error.exit_code == EXIT_PREREQUISITE
    assert error.maybe_done is (kind is AwsFault)


def test_every_code_in_the_tables_has_one_meaning_only() -> None:
    tables = [rows.EXPIRED, rows.EXPIRED_OR_SKEWED, rows.INVALID_KEYS, rows.SKEWED]
    tables += [rows.DENIED, rows.THROTTLED, rows.MISSING, rows.TRANSIENT]
    for code in frozenset().union(*tables):
        assert sum(code in table for table in tables) == 1, code


UNANSWERED = [
    (b.NoCredentialsError(), CredentialsMissing, "aws sso login --profile company-prod"),
    (b.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), CredentialsMissing, "aws configure"),
    (b.ProfileNotFound(profile="company-prod"), CredentialsMissing, "Known profiles: dev, prod"),
    (b.ConfigParseError(path="/home/o/.aws/config"), CredentialsMissing, "Mend the file"),
    (b.ConfigNotFound(path="/home/o/.aws/config"), CredentialsMissing, "AWS_CONFIG_FILE"),
    (b.NoRegionError(), CredentialsMissing, "region"),
    (b.UnauthorizedSSOTokenError(), SsoLoginNeeded, "aws sso login --profile company-prod"),
    (b.SSOTokenLoadError(error_msg="no file"), SsoLoginNeeded, "aws sso login --profile company-prod"),
    (
        b.TokenRetrievalError(provider="sso", error_msg="expired"),
        SsoLoginNeeded,
        "aws sso login --profile company-prod",
    ),
    (b.CredentialRetrievalError(provider="process", error_msg="exit 1"), CredentialsMissing, "get-caller-identity"),
    (b.CredentialRetrievalError(provider="x", error_msg="MFA code needed"), CredentialsMissing, "Give the code"),
    (b.MetadataRetrievalError(error_msg="timeout"), CredentialsMissing, "get-caller-identity"),
    (b.RefreshWithMFAUnsupportedError(), CredentialsExpired, "get-caller-identity"),
    (b.InvalidConfigError(error_msg="source_profile"), CredentialsMissing, "get-caller-identity"),
    (
        RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
        CredentialsExpired,
        "aws sso login --profile company-prod",
    ),
    (b.EndpointConnectionError(endpoint_url="https://x"), NetworkUnreachable, "AWS_ENDPOINT_URL"),
    (b.ConnectTimeoutError(endpoint_url="https://x"), NetworkUnreachable, "proxy"),
    (b.ReadTimeoutError(endpoint_url="https://x"), NetworkUnreachable, "proxy"),
    (b.ConnectionClosedError(endpoint_url="https://x"), NetworkUnreachable, "proxy"),
    (b.ProxyConnectionError(proxy_url="http://p"), NetworkUnreachable, "HTTPS_PROXY"),
    (b.SSLError(endpoint_url="https://x", error=ValueError("self-signed")), NetworkUnreachable, "AWS_CA_BUNDLE"),
    (b.ResponseStreamingError(error="cut"), NetworkUnreachable, "proxy"),
    (b.IncompleteReadError(actual_bytes=1, expected_bytes=2), NetworkUnreachable, "proxy"),
    (b.HTTPClientError(error="odd"), NetworkUnreachable, "proxy"),
    (ConnectionResetError("reset"), NetworkUnreachable, "proxy"),
    (TimeoutError("slow"), NetworkUnreachable, "proxy"),
    (ResponseParserError("<html>"), UnexpectedAnswer, "login page"),
    (Undocumented("services: expected a list, found a text"), UnexpectedAnswer, "login page"),
    (TooLate("no whole answer in 60 s"), NetworkUnreachable, "proxy"),
    (TooLarge("more than 64 MB"), UnexpectedAnswer, "login page"),
    (b.CapacityNotAvailableError(), Throttled, "Wait"),
]


@pytest.mark.parametrize(("error", "kind", "mend"), UNANSWERED, ids=lambda value: type(value).__name__)
def test_exception_means(error: Exception, kind: type[AwsError], mend: str) -> None:
    ours = unanswered(error, known_profiles=("dev", "prod"))

    assert type(ours) is kind
    assert mend in ours.mend
    assert ours.code == "", "the code is AWS's to give"
    assert ours.words == str(error)
    assert not re.search(r"\{\w", ours.title + ours.mend), "an unfilled mark"


def test_without_a_connection_nothing_was_sent_so_nothing_was_done() -> None:
    never = [b.EndpointConnectionError(endpoint_url="x"), b.ConnectTimeoutError(endpoint_url="x")]
    perhaps = [
        b.ReadTimeoutError(endpoint_url="x"),
        b.ConnectionClosedError(endpoint_url="x"),
        ResponseParserError("x"),
    ]

    assert [unanswered(error).maybe_done for error in never] == [False, False]
    assert [unanswered(error).maybe_done for error in perhaps] == [True, True, True]


def test_unknown_exception_keeps_the_name_of_its_class() -> None:
    class OddError(b.BotoCoreError):
        fmt = "odd"

    ours = unanswered(OddError())

    assert type(ours) is AwsRefused
    assert "OddError: odd" in ours.cause


def test_our_own_errors_pass_as_they_are() -> None:
    ours = answered("ThrottlingException")
    assert unanswered(ours) is ours


@pytest.mark.parametrize(
    ("words", "action"),
    [
        (
            "User: arn:aws:sts::123456789012:assumed-role/dev/o is not authorized to perform: ecs:UpdateService on x",
            "ecs:UpdateService",
        ),
        ("User is not authorized to perform ecr:DescribeImages", "ecr:DescribeImages"),
        ("Access Denied", "s3:GetObject"),
    ],
)
def test_denied_names_the_action(words: str, action: str) -> None:
    error = answered("AccessDenied", words, 403, "s3:HeadObject")
    assert action in error.title
    assert action in error.mend


def test_explicit_deny_is_said() -> None:
    words = "is not authorized to perform: ecs:UpdateService with an explicit deny in a service control policy"
    assert "explicit deny" in answered("AccessDeniedException", words).mend


@pytest.mark.parametrize(
    ("source", "kind", "mend"),
    [
        ("sso", SsoLoginNeeded, "aws sso login --profile company-prod"),
        ("env", CredentialsExpired, "in the environment"),
        ("assume-role", CredentialsExpired, "aws sts get-caller-identity --profile company-prod"),
        ("", CredentialsExpired, "aws sso login --profile company-prod"),
    ],
)
def test_renewing_depends_on_where_the_credentials_came_from(source: str, kind: type[AwsError], mend: str) -> None:
    error = answered("ExpiredTokenException", source=source)
    assert type(error) is kind
    assert mend in error.mend


def test_a_profile_is_quoted_for_the_shell() -> None:
    error = unanswered(b.UnauthorizedSSOTokenError(), profile="a b; rm -rf {place}")
    assert error.mend == "Log in: aws sso login --profile 'a b; rm -rf {place}'"


def test_without_a_profile_none_is_named() -> None:
    error = unanswered(b.UnauthorizedSSOTokenError(), profile=None)
    assert "--profile" not in error.mend
    assert error.title.endswith("(region ap-northeast-2).")


def test_skew_is_measured_by_the_answers_date() -> None:
    date = format_datetime(datetime.now(UTC) - timedelta(minutes=12), usegmt=True)

    error = answered("SignatureDoesNotMatch", NOT_MATCHING, 403, headers={"date": date})

    assert type(error) is ClockSkew
    assert "12 min ahead of AWS's" in error.title
    assert "timedatectl" in error.mend


@pytest.mark.parametrize(("minutes", "kind"), [(0, CredentialsExpired), (20, ClockSkew), (-20, ClockSkew)])
def test_request_expired_is_the_clock_only_if_the_clock_is_off(minutes: int, kind: type[AwsError]) -> None:
    date = format_datetime(datetime.now(UTC) - timedelta(minutes=minutes), usegmt=True)
    assert type(answered("RequestExpired", "Request has expired.", headers={"Date": date})) is kind


@pytest.mark.parametrize("code", ["InvalidSignatureException", "SignatureDoesNotMatch"])
def test_where_the_date_says_that_the_clock_is_right_aws_s_words_do_not_make_it_wrong(code: str) -> None:
    """A request that was held up, or signed before the machine slept."""
    error = answered(code, SIGNATURE_EXPIRED, 403, headers={"date": format_datetime(datetime.now(UTC), usegmt=True)})
    assert type(error) is AwsRefused
    assert "too late after it was signed" in error.title
    assert error.maybe_done is False


def test_what_a_change_of_ecs_misses_may_be_a_part_of_it() -> None:
    words = "The container web does not exist in the task definition."
    assert type(answered("ClientException", words, operation="ecs:UpdateService")) is AwsRefused
    assert type(answered("ClientException", words, operation="ecs:DescribeTaskDefinition")) is AwsNotFound


@pytest.mark.parametrize("date", ["", "yesterday", "\x00", "Thu, 99 Foo 2026 00:00:00 GMT"])
def test_a_date_that_is_none_does_no_harm(date: str) -> None:
    assert type(answered("RequestExpired", headers={"date": date})) is CredentialsExpired


@pytest.mark.parametrize("words", ["\x1b[31mred\x1b[0m", "{place} {option}", "[bold]x[/]", "한글 🚨", "a" * 10_000])
def test_hostile_words_are_kept_as_they_are(words: str) -> None:
    assert answered("InvalidParameterException", words).words == words
    assert unanswered(b.HTTPClientError(error=words)).words.endswith(words)


def test_iam_names() -> None:
    assert iam_action("s3:ListObjectVersions") == "s3:ListBucketVersions"
    assert iam_action("elbv2:DescribeTargetHealth") == "elasticloadbalancing:DescribeTargetHealth"
    assert iam_action("ecs:UpdateService") == "ecs:UpdateService"
    assert answered("Throttling", operation="elbv2:DescribeRules").operation == "elasticloadbalancing:DescribeRules"


def test_what_botocore_stumbles_over_is_an_unexpected_answer_only_where_something_was_sent() -> None:
    stumbled = unanswered(AttributeError("'list' object has no attribute 'get'"))
    assert type(stumbled) is UnexpectedAnswer
    assert stumbled.maybe_done
    unsent = translated(ValueError("Invalid endpoint: x"), "ecs:UpdateService", profile=None, region="r", sent=False)
    assert type(unsent) is AwsRefused
    assert not unsent.maybe_done


def test_nothing_was_done_where_nothing_was_sent() -> None:
    late = translated(TooLate("no whole answer in 60 s"), "ecs:UpdateService", profile="p", region="r", sent=False)
    assert "could not be sent" in late.title
    assert "--profile p" in late.mend
    assert not late.maybe_done


KEY = "arn:aws:kms:ap-northeast-2:123456789012:key/1234abcd-12ab"
CIPHERTEXT = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed "
    "to access. (Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException; Request ID: 1)"
)


@pytest.mark.parametrize(
    ("code", "words", "operation", "action"),
    [
        ("AccessDeniedException", CIPHERTEXT, "ssm:GetParameter", "kms:Decrypt"),
        ("AccessDeniedException", CIPHERTEXT, "ssm:PutParameter", "kms:Encrypt"),
        ("AccessDeniedException", "Access to KMS is not allowed", "secretsmanager:GetSecretValue", "kms:Decrypt"),
        (
            "AccessDenied",
            f"User: x is not authorized to perform: kms:Decrypt on resource: {KEY}",
            "s3:GetObject",
            "kms:Decrypt",
        ),
        (
            "AccessDenied",
            f"x is not authorized to perform: kms:GenerateDataKey on {KEY}",
            "s3:PutObject",
            "kms:GenerateDataKey",
        ),
        ("KMSAccessDeniedException", "words", "dynamodb:GetItem", "kms:Decrypt"),
        ("KMS.AccessDeniedException", "words", "sns:Publish", "kms:GenerateDataKey"),
    ],
)
def test_where_the_key_is_refused_the_key_s_permission_is_named(
    code: str, words: str, operation: str, action: str
) -> None:
    error = answered(code, words, 400, operation)
    assert isinstance(error, AccessDenied)
    assert f"may not do {action} " in error.title
    assert f"which {operation} needs" in error.title
    assert "key's policy" in error.mend
    assert (KEY in error.mend) == (KEY in words)


def test_a_refusal_of_the_service_itself_names_its_own_permission() -> None:
    words = "User: x is not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:r:1:parameter/kms/key"
    assert "may not do ssm:GetParameter (" in answered("AccessDeniedException", words, 400, "ssm:GetParameter").title
    assert "may not do kms:ListKeys (" in answered("AccessDeniedException", "no", 400, "kms:ListKeys").title
