"""botocore's exceptions and AWS's error codes become ours, each with what was tried, AWS's own words and the mend.

Kept apart from `access`, so that the tables can be read and tested row by row. Exceptions are told by the names of
their classes: botocore need not be imported for it, and releases that lack some of them do no harm.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from infraconsole.errors import (
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

RENEW_VARIABLE = "INFRACONSOLE_RENEW"
"""What gets new credentials here, for the mends of expired and missing ones: a team's own login tool, the embedded world's."""

# AWS refuses a signature that is more than five minutes off (fifteen for S3).
SKEW_TOLERATED = timedelta(minutes=4)

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "ExpiredCredentials"})
# Either the clock or the credentials: EC2 says it for both, and the Date header of the answer decides.
EXPIRED_OR_SKEWED = frozenset({"RequestExpired"})
INVALID_KEYS = frozenset(
    {
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidAccessKeyId",
        "AuthFailure",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
    }
)
SKEWED = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "UnauthorizedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "AllAccessDisabled",
        "Forbidden",
        "403",
    }
)
THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "PriorRequestNotComplete",
        "SlowDown",
        "EC2ThrottledException",
        "429",
    }
)
MISSING = frozenset(
    {
        "NoSuchBucket",
        "NoSuchKey",
        "NoSuchVersion",
        "NoSuchEntity",
        "NoSuchHostedZone",
        "NoSuchHealthCheck",
        "NoSuchChange",
        "ParameterNotFound",
        "ParameterVersionNotFound",
        "404",
    }
)
# ECS says this where other services say "not found"; the words tell which, of a read: what a change misses may be a part of it.
_READING = ("Describe", "Get", "List")
_CLIENT_EXCEPTION_MISSING = re.compile(r"unable to describe task definition|not found|does not exist", re.IGNORECASE)
TRANSIENT = frozenset(
    {
        *("RequestTimeout", "RequestTimeoutException", "InternalError", "InternalFailure", "InternalServerError"),
        *("ServiceUnavailable", "ServiceUnavailableException", "ServerException", "500", "502", "503", "504"),
    }
)

_SKEW_WORDS = re.compile(r"signature (expired|not yet current)|is now (earlier|later) than", re.IGNORECASE)
_ACTION = (
    re.compile(r"not authori[sz]ed to perform:? ([a-z0-9-]+:[A-Za-z0-9*]+)"),
    re.compile(r"to perform (?:the )?(?:action|operation):? ([a-z0-9-]+:[A-Za-z0-9*]+)"),
)

# Other services pass KMS's refusal on, and not all of them name the action: SSM and S3 say the first, Secrets Manager the second.
_KMS_WORDS = re.compile(
    r"ciphertext refers to a customer master key|Access to KMS is not allowed|AWS ?KMS|\bkms:[A-Z]", re.IGNORECASE
)
_KMS_CODES = frozenset({"KMSAccessDeniedException", "KMS.AccessDeniedException", "KmsAccessDenied"})
_KMS_KEY = re.compile(r"arn:aws[\w-]*:kms:[\w-]+:\d*:(?:key|alias)/[\w/-]+")
_WRITING = {"ssm": "kms:Encrypt"}
"""What a write needs of the key; "kms:GenerateDataKey" of other services."""

# IAM's prefixes and actions, where they are not botocore's service name and the operation.
_PREFIXES = {
    "elbv2": "elasticloadbalancing",
    "elasticloadbalancingv2": "elasticloadbalancing",
    "resourcegroupstaggingapi": "tag",
    "service-quotas": "servicequotas",
}
_ACTIONS = {
    "s3:HeadObject": "s3:GetObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:GetBucketReplication": "s3:GetReplicationConfiguration",
}


def translated(
    error: Exception,
    operation: str,
    *,
    profile: str | None,
    region: str,
    known_profiles: Sequence[str] = (),
    source: str = "",
    sent: bool = True,
    login_profile: str = "",
) -> AwsError:
    """The AwsError that says what `error` means; `operation` is `service:Operation` with botocore's service name.

    `known_profiles` are named where the profile is unknown; `source` is where the credentials came from, in botocore's
    words ("sso", "env", …), for the mend of expired ones; `login_profile` is the one that SSO is logged in to, where that is
    another. Where nothing was `sent`, nothing was done.
    """
    if isinstance(error, AwsError):
        return error
    service, _, name = operation.partition(":")
    called = f"{_PREFIXES.get(service, service)}:{name}"
    tried = _Tried(called, profile, region, tuple(known_profiles), source, login_profile)
    response = getattr(error, "response", None)
    answer = response if isinstance(response, dict) and "Error" in response else None
    ours = _unanswered(error, tried, sent) if answer is None else _answered(answer, tried)
    ours.profile = profile
    return ours


def is_of_sso(error: Exception) -> bool:
    """Whether there is no SSO login any more, or none yet."""
    names = {cls.__name__ for cls in type(error).__mro__}
    return not names.isdisjoint(("UnauthorizedSSOTokenError", "SSOTokenLoadError", "TokenRetrievalError", "SSOError"))


def iam_action(operation: str) -> str:
    """The IAM action that allows `operation`: "s3:HeadObject" → "s3:GetObject"; most are called the same."""
    service, _, name = operation.partition(":")
    plain = f"{_PREFIXES.get(service, service)}:{name}"
    return _ACTIONS.get(plain, plain)


class _Tried:
    """What was tried, and the mends that depend on it."""

    def __init__(
        self,
        operation: str,
        profile: str | None,
        region: str,
        known_profiles: tuple[str, ...],
        source: str,
        login_profile: str,
    ) -> None:
        self.operation = operation
        self.profile = profile
        self.region = region
        self.known_profiles = known_profiles
        self.source = source
        self.login_profile = login_profile or profile

    @property
    def place(self) -> str:
        return f"region {self.region}, profile {self.profile}" if self.profile else f"region {self.region}"

    @property
    def option(self) -> str:
        """The AWS CLI's option for the profile, with a space before it; "" without a profile."""
        return _option(self.profile)

    def login(self) -> str:
        """The command that gets credentials where SSO would: the team's own, if the environment names one."""
        return os.environ.get(RENEW_VARIABLE) or f"aws sso login{_option(self.login_profile)}"

    def renewal(self) -> str:
        if self.source != "env" and os.environ.get(RENEW_VARIABLE):
            return f"Renew them: {self.login()}"
        if self.source == "sso":
            return f"Renew them: {self.login()}"
        if self.source == "login":
            return f"Renew them: aws login{self.option}"
        if self.source == "env":
            return (
                "They come from AWS_ACCESS_KEY_ID in the environment, which a running program cannot see change: "
                "set new ones in the shell, then start again from there; a run that waits can be resumed."
            )
        if self.source.startswith("assume-role"):
            return f"Renew them: aws sts get-caller-identity{self.option} (asks for an MFA code where one is needed)"
        return (
            f"Renew them: aws sso login{self.option}, or however this profile gets its keys; "
            f"check with: aws sts get-caller-identity{self.option}"
        )


def _option(profile: str | None) -> str:
    return f" --profile {shlex.quote(profile)}" if profile else ""


def _answered(response: Mapping[str, Any], tried: _Tried) -> AwsError:
    """AWS answered with an error: told by its code, then by its words, then by the HTTP status."""
    error = response.get("Error") or {}
    code, words = str(error.get("Code") or ""), str(error.get("Message") or error.get("message") or "")
    metadata = response.get("ResponseMetadata") or {}
    status = int(metadata.get("HTTPStatusCode") or 0)
    skew = clock_skew(metadata.get("HTTPHeaders") or {})
    skewed = None if skew is None else abs(skew) > SKEW_TOLERATED
    kind, title, mend = _classified(code, words, status, skewed, tried)
    if kind is ClockSkew and skew is not None:
        title = f"This machine's clock is {_off(skew)} AWS's, so AWS does not accept its signatures ({tried.place})."
    return kind(title, operation=tried.operation, code=code, words=words, mend=mend)


def _classified(
    code: str, words: str, status: int, skewed: bool | None, tried: _Tried
) -> tuple[type[AwsError], str, str]:
    """`skewed` is what the answer's date tells of the clock; only where it tells nothing (None) do AWS's words decide."""
    by_time = code in INVALID_KEYS or code in EXPIRED_OR_SKEWED
    is_late = by_time and bool(_SKEW_WORDS.search(words))
    if code in SKEWED or (by_time and (skewed or (skewed is None and is_late))):
        return ClockSkew, f"This machine's clock is off, so AWS does not accept its signatures ({tried.place}).", _CLOCK
    if is_late:
        return AwsRefused, f"{tried.operation} reached AWS too late after it was signed ({tried.place}).", "Try again."
    if code in EXPIRED or code in EXPIRED_OR_SKEWED:
        kind = SsoLoginNeeded if tried.source == "sso" else CredentialsExpired
        return kind, f"The AWS credentials have expired ({tried.place}).", tried.renewal()
    if code in INVALID_KEYS:
        mend = f"See whose they are: aws configure list{tried.option}; then: aws sts get-caller-identity{tried.option}"
        return CredentialsMissing, f"AWS does not know these credentials ({tried.place}).", mend
    if code in THROTTLED or status == 429:
        mend = "Nothing is broken: AWS limits the calls of an account and region. Wait a little, then try again."
        return Throttled, f"AWS is throttling {tried.operation} ({tried.place}).", mend
    if code == "InvalidObjectState":
        mend = "Restore it first: aws s3api restore-object; that takes from minutes to hours."
        return AwsRefused, f"What {tried.operation} asks for is archived ({tried.place}).", mend
    if code in DENIED or code in _KMS_CODES:
        return _denied(code, words, tried)
    # ECS says ClientException for a revision that is not there, so the words count there.
    reads = tried.operation.partition(":")[2].startswith(_READING)
    is_missing = code == "ClientException" and reads and _CLIENT_EXCEPTION_MISSING.search(words)
    if code in MISSING or "NotFound" in code or is_missing:
        mend = "Check the name, the region and the account; something by this name may exist in another of these."
        return AwsNotFound, f"What {tried.operation} asks for does not exist ({tried.place}).", mend
    if status >= 500 or code in TRANSIENT:
        mend = "Try again in a minute; if it lasts, see https://health.aws.amazon.com/health/status"
        return AwsFault, f"AWS failed to carry out {tried.operation} ({tried.place}).", mend
    if status == 403:
        return _denied(code, words, tried)
    if status == 404:
        return AwsNotFound, f"What {tried.operation} asks for does not exist ({tried.place}).", ""
    return AwsRefused, f"AWS refused {tried.operation} ({tried.place}).", ""


def _denied(code: str, words: str, tried: _Tried) -> tuple[type[AwsError], str, str]:
    found = next((match[1] for pattern in _ACTION if (match := pattern.search(words))), "")
    if not found and (code in _KMS_CODES or _KMS_WORDS.search(words)):
        found = _kms_action(tried.operation)
    action = found or iam_action(tried.operation)
    explicit = " An explicit deny forbids it; allowing it elsewhere does not help." if "explicit deny" in words else ""
    title = f"These credentials may not do {action} ({tried.place})."
    if action.startswith("kms:") and not tried.operation.startswith("kms:"):
        key = match[0] if (match := _KMS_KEY.search(words)) else "the key that it is encrypted with"
        title = f"{title[:-1]}, which {tried.operation} needs."
        return AccessDenied, title, f"Have {action} allowed for {key}, in the key's policy too.{explicit}"
    return AccessDenied, title, f"Have {action} allowed, or use a profile that may.{explicit}"


def _kms_action(operation: str) -> str:
    service, _, name = operation.partition(":")
    if name.startswith((*_READING, "Head", "Receive", "Batch")):
        return "kms:Decrypt"
    return _WRITING.get(service, "kms:GenerateDataKey")


_CLOCK = "Set the clock: sudo timedatectl set-ntp true (macOS: sudo sntp -sS time.apple.com); check with: timedatectl"
_LATER = "Try again; if it lasts, check the connection, VPN and proxy settings"


class _Row(NamedTuple):
    """What an exception without an answer of AWS's means. Marks in braces are filled from what was tried."""

    name: str
    kind: type[AwsError]
    title: str
    mend: str


_SSO_LOGIN = "Log in: {login}"
_NO_KEYS = "There are no AWS credentials ({place})."
_UNREACHED = "AWS cannot be reached ({place})."
_BROKE_OFF = "The answer to {operation} broke off ({place})."
_CUT = "The connection ended before AWS answered {operation} ({place})."
_LATE = "AWS did not answer {operation} in time ({place})."
_OTHERWISE = "AWS answered something else than documented to {operation} ({place})."
_STRANGER = "A proxy or login page may stand between: check HTTPS_PROXY and AWS_ENDPOINT_URL, then try again"

_UNSENT = _Row(
    "TooLate",
    NetworkUnreachable,
    "{operation} could not be sent in time ({place}).",
    "The credentials or the name of AWS's server did not come; check with: aws sts get-caller-identity{option}",
)

# The first row whose name is among the exception's classes counts: the particular stands before the general.
_UNANSWERED = (
    _Row("NoCredentialsError", CredentialsMissing, _NO_KEYS, "{missing}"),
    _Row("NoAuthTokenError", CredentialsMissing, _NO_KEYS, "{missing}"),
    _Row(
        "PartialCredentialsError",
        CredentialsMissing,
        "The AWS credentials are incomplete ({place}).",
        "See where they come from: aws configure list{option}; then complete them: aws configure{option}",
    ),
    _Row("ProfileNotFound", CredentialsMissing, "There is no AWS profile {profile!r}.", "{profiles}"),
    _Row(
        "ConfigParseError",
        CredentialsMissing,
        "The AWS configuration file cannot be read.",
        "Mend the file named above; aws configure list shows whether it can be read",
    ),
    _Row(
        "ConfigNotFound",
        CredentialsMissing,
        "The AWS configuration file is not there.",
        "Check AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE",
    ),
    _Row(
        "NoRegionError", CredentialsMissing, "No AWS region is set.", "Set `region` in infraconsole.toml, or AWS_REGION"
    ),
    _Row("UnauthorizedSSOTokenError", SsoLoginNeeded, "The SSO login has expired ({place}).", _SSO_LOGIN),
    _Row("SSOTokenLoadError", SsoLoginNeeded, "There is no SSO login yet ({place}).", _SSO_LOGIN),
    _Row("TokenRetrievalError", SsoLoginNeeded, "The SSO login has expired ({place}).", _SSO_LOGIN),
    _Row("SSOError", SsoLoginNeeded, "The SSO login does not work ({place}).", _SSO_LOGIN),
    _Row("LoginError", SsoLoginNeeded, "The AWS login does not work ({place}).", "Log in: aws login{option}"),
    _Row(
        "RefreshWithMFAUnsupportedError",
        CredentialsExpired,
        "The credentials ask for an MFA code ({place}).",
        "Give it to the AWS CLI, whose cache is read here: aws sts get-caller-identity{option}",
    ),
    _Row(
        "CredentialRetrievalError", CredentialsMissing, "The AWS credentials could not be fetched ({place}).", "{fetch}"
    ),
    _Row(
        "MetadataRetrievalError", CredentialsMissing, "The AWS credentials could not be fetched ({place}).", "{fetch}"
    ),
    _Row("UnknownCredentialError", CredentialsMissing, "The profile names an unknown source ({place}).", "{fetch}"),
    _Row("InvalidConfigError", CredentialsMissing, "The AWS configuration is wrong ({place}).", "{fetch}"),
    _Row(
        "ProxyConnectionError",
        NetworkUnreachable,
        "The proxy does not answer ({place}).",
        "Check HTTPS_PROXY and NO_PROXY",
    ),
    _Row(
        "SSLError",
        NetworkUnreachable,
        "No trusted connection to AWS could be made ({place}).",
        "Where a proxy opens TLS, name its certificate in AWS_CA_BUNDLE; do not switch verification off",
    ),
    _Row("ConnectTimeoutError", NetworkUnreachable, "No connection to AWS came about in time ({place}).", _LATER),
    _Row(
        "EndpointConnectionError",
        NetworkUnreachable,
        _UNREACHED,
        "Check the connection, the names (getent hosts sts.{region}.amazonaws.com), the region and AWS_ENDPOINT_URL",
    ),
    _Row("ReadTimeoutError", NetworkUnreachable, _LATE, _LATER),
    _Row("ConnectionClosedError", NetworkUnreachable, _CUT, _LATER),
    _Row("ResponseStreamingError", NetworkUnreachable, _BROKE_OFF, _LATER),
    _Row("IncompleteReadError", NetworkUnreachable, _BROKE_OFF, _LATER),
    _Row("Undocumented", UnexpectedAnswer, _OTHERWISE, _STRANGER),
    _Row("ResponseParserError", UnexpectedAnswer, _OTHERWISE, _STRANGER),
    _Row("TooLarge", UnexpectedAnswer, "The answer to {operation} has no end ({place}).", _STRANGER),
    _Row("TooLate", NetworkUnreachable, _LATE, _LATER),
    _Row(
        "CapacityNotAvailableError",
        Throttled,
        "AWS is throttling {operation} ({place}).",
        "Wait a little, then try again",
    ),
    _Row("HTTPClientError", NetworkUnreachable, _UNREACHED, _LATER),
    _Row("ConnectionError", NetworkUnreachable, _UNREACHED, _LATER),
    _Row("TimeoutError", NetworkUnreachable, _LATE, _LATER),
)

# No connection came about, so the request was never sent.
_NEVER_SENT = frozenset({"EndpointConnectionError", "ConnectTimeoutError"})
# What Python raises where botocore takes an answer apart that is not of the form it knows.
_STUMBLES = (AttributeError, TypeError, LookupError, ValueError, ArithmeticError, AssertionError, RecursionError)


def _unanswered(error: Exception, tried: _Tried, sent: bool) -> AwsError:
    """No answer of AWS's to read: told by the exception's class. The code stays empty, being AWS's to give."""
    names = [cls.__name__ for cls in type(error).__mro__]
    words = str(error) or type(error).__name__
    row = next((row for row in _UNANSWERED if row.name in names), None)
    if row is None and sent and isinstance(error, _STUMBLES) and "BotoCoreError" not in names:
        row, words = _Row(names[0], UnexpectedAnswer, _OTHERWISE, _STRANGER), f"{names[0]}: {words}"
    elif names[0] == "TooLate" and not sent:
        row = _UNSENT
    if row is not None:
        title, mend = _fill(row.title, tried, words), _fill(row.mend, tried, words)
        ours = row.kind(title, operation=tried.operation, words=words, mend=mend)
    elif isinstance(error, RuntimeError) and "refreshed credentials are still expired" in words:
        title = f"The AWS credentials have expired ({tried.place})."
        ours = CredentialsExpired(title, operation=tried.operation, words=words, mend=tried.renewal())
    else:
        words = f"{names[0]}: {words}"
        ours = AwsRefused(f"{tried.operation} did not succeed ({tried.place}).", operation=tried.operation, words=words)
    if not sent or (row is not None and row.name in _NEVER_SENT):
        ours.maybe_done = False
    ours.cause = f"{tried.operation} {'got no answer' if ours.maybe_done else 'was not carried out'}: {words}"
    return ours


def _fill(text: str, tried: _Tried, words: str) -> str:
    """`text` with its marks replaced; plain replacement, since profiles and operations may hold braces themselves."""
    if text == "{missing}":
        login = os.environ.get(RENEW_VARIABLE) or f"aws sso login{tried.option} or aws configure{tried.option}"
        return f"Log in ({login}), or name a profile for the environment in infraconsole.toml"
    if text == "{profiles}":
        known = ", ".join(tried.known_profiles)
        return f"Known profiles: {known}" if known else "No profile is known; make one: aws configure sso"
    if text == "{fetch}":
        if "MFA" in words:
            return f"Give the code to the AWS CLI, whose cache is read here: aws sts get-caller-identity{tried.option}"
        return f"See what the AWS CLI says: aws sts get-caller-identity{tried.option}"
    marks = {
        "{place}": tried.place,
        "{login}": tried.login(),
        "{option}": tried.option,
        "{profile!r}": repr(tried.profile or "default"),
        "{region}": tried.region,
        "{operation}": tried.operation,
    }
    return re.sub("|".join(re.escape(mark) for mark in marks), lambda found: marks[found[0]], text)


def clock_skew(headers: Mapping[str, Any]) -> timedelta | None:
    """How far this machine's clock is ahead of AWS's, by the answer's Date header; None without one."""
    date = {str(name).lower(): value for name, value in headers.items()}.get("date")
    if not date:
        return None
    try:
        theirs = parsedate_to_datetime(str(date))
    except ValueError:
        return None
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    return datetime.now(UTC) - theirs


def _off(skew: timedelta) -> str:
    """ "12 min ahead of", "3 min behind"."""
    minutes = round(abs(skew).total_seconds() / 60)
    return f"{minutes} min {'ahead of' if skew > timedelta() else 'behind'}"
