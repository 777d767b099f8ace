"""Who stored versions of a state, where a CloudTrail trail tells. Bounded: at 03:00 nobody waits for logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from infraconsole import clock, text
from infraconsole.aws.cloudtrail import Author, CloudTrail
from infraconsole.aws.s3 import StoredObject
from infraconsole.engine.runbook import StepContext
from infraconsole.errors import AwsError

SECONDS = 5.0
"""For all of them together."""
_MOST = 10
_AT_ONCE = 4


def authors(context: StepContext, versions: Sequence[StoredObject]) -> Mapping[str, str]:
    """`kim (Admin), Terraform 1.11.4` by version id, of the newest ones. What cannot be told, or not in time, is left out;
    that CloudTrail refuses to say it is noted."""
    asked = versions[:_MOST]
    until = clock.seconds() + SECONDS
    cloudtrail = CloudTrail(context.reads)
    found: dict[str, str] = {}
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        trails = cloudtrail.trails()
        region, account = context.target.region, context.target.account
        wanted = [
            version
            for version in asked
            if any(trail.records(version.bucket, version.key, region) is not False for trail in trails)
        ]
        looked = [(each, pool.submit(cloudtrail.author_of, trails, account, region, each)) for each in wanted]
        for version, author in looked:
            with suppress(TimeoutError):
                if (told := author.result(max(0.0, until - clock.seconds()))) is not None:
                    found[version.version_id] = _words(told)
    except AwsError as error:
        context.note(f"Who stored the versions cannot be told: {error.title}")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return found


def _words(author: Author) -> str:
    return text.line(author.who, 60) + (f", {text.line(author.tool, 30)}" if author.tool else "")
