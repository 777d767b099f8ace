"""From AWS to what the board shows: one loader per group of cells, so that cells fill independently and in parallel.

No Textual in here. Every fact carries when it was read, and keeps its last value when reading it again fails.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from infraconsole import clock, naming
from infraconsole.aws.budget import Budget, Budgets, Slowed
from infraconsole.checks.row_facts import (
    Account,
    Authorship,
    BoardRow,
    ExportFacts,
    LockFacts,
    Revisions,
    StateFacts,
    VariablesFacts,
)
from infraconsole.errors import AwsError, AwsNotFound, InfraconsoleError
from infraconsole.fleet.services import Services

if TYPE_CHECKING:
    from pathlib import Path

    from infraconsole.aws.access import AwsAccess
    from infraconsole.aws.cloudtrail import Trail
    from infraconsole.aws.cloudwatch import Alarm
    from infraconsole.aws.ecr import PushedTag
    from infraconsole.aws.ecs import Service, ServiceDeployment, Task, TaskDefinition
    from infraconsole.aws.elbv2 import TargetHealth
    from infraconsole.aws.logs import LogLine
    from infraconsole.aws.s3 import StoredObject
    from infraconsole.checks.environments import Comparison
    from infraconsole.checks.serving import ServiceFacts
    from infraconsole.config import Config, Program
    from infraconsole.exports.needed import Needed
    from infraconsole.terraform.locking import Protection
    from infraconsole.terraform.state import LockInfo, StateSummary

# What reads AWS is imported by the loaders themselves, in their threads: the board is painted without waiting for it.

REVISIONS_SHOWN = 40
"""Of a family: the newest ones. Rolling back further than this is not a rollback any more."""
_QUOTED = re.compile(r'^\s*"([^"\\]*)"')
_CODE_SECONDS = 10.0
"""For so long a service's variables are what they were: all its environments are asked for at the same time."""
_TRAILS_SECONDS = 300.0
"""For so long an account's trails are taken for what they were: they change seldom, versions are asked about one by one."""


class Overview:
    """The loaders. Each may block for as long as AWS does and raises InfraconsoleError; all are safe in threads.

    What cannot change is read once: task definitions by ARN, states by their object's ETag.
    """

    def __init__(
        self, config: Config, access_for: Callable[[str], AwsAccess], *, calls_per_second: float | None = None
    ) -> None:
        """`calls_per_second` in place of the settings'."""
        self.config = config
        self._budgets = Budgets(calls_per_second or config.aws.calls_per_second)
        self._access_for = access_for
        self._lock = threading.Lock()
        self._accesses: dict[str, AwsAccess] = {}
        self.services = Services(self.access)
        self._totals: dict[tuple[str, str], int] = {}
        """How many revisions a family has, by its newest one: counting them takes a call for each hundred."""
        self._states: dict[tuple[str, str], tuple[str, StateSummary | None]] = {}
        self._needed: Needed | None = None
        self._code_locks: dict[str, threading.Lock] = {}
        self._code: dict[str, tuple[float, tuple[object, ...], Comparison | None]] = {}
        self._variables: dict[tuple[str, str], VariablesFacts] = {}
        self._accounts: dict[tuple[int, int], Account] = {}
        self._aliases_asked: set[tuple[int, int]] = set()
        self._terraform_lock = threading.Lock()
        self._terraform_versions: dict[Program, tuple[int, ...]] = {}
        self._trails: dict[tuple[int, int], tuple[float, tuple[Trail, ...]]] = {}

    def access(self, environment: str) -> AwsAccess:
        with self._lock:
            if environment not in self._accesses:
                made = self._access_for(environment)
                # Environments of one account share their clients: making one costs a tenth of a second each.
                known = self._accesses.values()
                same = (other for other in known if (other.region, other.profile) == (made.region, made.profile))
                found = self._accesses[environment] = next(same, made)
                if found is made:
                    owner = self.config.environment(environment).account or f"profile {made.profile or ''}"
                    made.budget = self._budgets.of(owner, made.region)
            return self._accesses[environment]

    def where(self, environment: str) -> str:
        """The account and region, as far as the settings tell: what has the same is read together."""
        settings = self.config.environment(environment)
        return f"{settings.account or ''} {settings.profile or ''} {self.config.known_region(environment)}"

    def budget(self, environment: str) -> Budget | None:
        """None before anything was read there."""
        with self._lock:
            access = self._accesses.get(environment)
            return access.budget if access else None

    def rate(self, where: str) -> float:
        """Calls a second that a place may have now: where two profiles turn out to be of one account, they share them."""
        with self._lock:
            budgets = {self.where(environment): access.budget for environment, access in self._accesses.items()}
        own = budgets.get(where)
        if own is None:
            return self._budgets.per_second
        return own.rate / sum(budget is own for budget in budgets.values())

    def budgets(self) -> tuple[Budget, ...]:
        with self._lock:
            return tuple(
                {id(access.budget): access.budget for access in self._accesses.values() if access.budget}.values()
            )

    def slowed(self) -> tuple[tuple[str, Slowed], ...]:
        """Where AWS throttles the console, each with its region."""
        with self._lock:
            accesses = {id(access.budget): access for access in self._accesses.values()}
        budgets = ((access.region, access.budget) for access in accesses.values())
        return tuple((region, slow) for region, budget in budgets if budget and (slow := budget.slowed))

    def renew(self) -> None:
        """There are new credentials: the next reads take them."""
        with self._lock:
            accesses = tuple(self._accesses.values())
        for access in accesses:
            access.renew()

    def rows(self) -> tuple[BoardRow, ...]:
        """A row per service and environment, in the configuration's order, with nothing read yet."""
        return tuple(
            BoardRow(service, environment)
            for service in self.config.services
            for environment in self.config.environments
        )

    def service(self, service: str, environment: str) -> ServiceFacts:
        return self.services.facts(service, environment)

    def definition(self, environment: str, reference: str) -> TaskDefinition:
        return self.services.definition(environment, reference)

    def state(
        self, service: str, environment: str, *, listed: StoredObject | None = None, kept: str | None = None
    ) -> StateFacts:
        """`listed` is the object as the bucket's list has it: where that is what was read before, nothing is asked. `kept` is the
        digest that the lock table has just answered, "" for none."""
        from infraconsole.aws.s3 import S3
        from infraconsole.checks.state_digest import summary_with_md5

        bucket, key = self.config.state_place_of(service, environment)
        if not bucket:
            return StateFacts("", key)
        s3 = S3(self.access(environment))
        place = (bucket, key)
        with self._lock:
            etag, known = self._states.get(place, ("", None))
        # The first time the object itself is asked for: a HEAD before it would be one call more.
        found = listed if known and listed and listed.etag == etag else None
        found = found or (s3.head(*place) if known and not listed else s3.get(*place))
        if known is None or found.etag != etag:
            found = found if found.body is not None else s3.get(*place)
            known = summary_with_md5(found.body or b"", f"s3://{bucket}/{key}")
            with self._lock:
                self._states[place] = (found.etag, known)
        left = self.errored_state(service, environment)
        digest = self._other_digest(service, environment, found, known.md5, kept)
        return StateFacts(bucket, key, known, found.modified_at, digest, str(left) if left else "")

    def has_read_state(self, listed: StoredObject) -> bool:
        with self._lock:
            return self._states.get((listed.bucket, listed.key), ("", None))[0] == listed.etag

    def _other_digest(
        self, service: str, environment: str, current: StoredObject, md5: str, kept: str | None = None
    ) -> str:
        """What the lock table keeps of `current`, where that is another state's; "" also where that could not be read, which the
        lock says, since it is in the same table."""
        from infraconsole.aws.s3 import S3
        from infraconsole.checks import state_digest

        table, access = self.config.environment(environment).lock_table, self.access(environment)
        try:
            if not table:
                return ""
            if kept is None:
                kept = state_digest.kept(access, table, current.bucket, current.key)
            if kept in ("", md5):
                return ""
            if not current.version_id:  # of a list
                now = S3(access).head(current.bucket, current.key)
                if now.etag != current.etag:
                    return ""  # another one by now
                current = now
            return self.state_digest(service, environment, current)
        except AwsError:
            return ""

    def state_versions(self, service: str, environment: str) -> Iterator[StoredObject]:
        """The versions of the state, newest first, a page at a time as they are asked for. For one thread at a time.

        Here and below, `service` may also be an infrastructure module.
        """
        from infraconsole.aws.s3 import S3

        bucket, key = self.config.state_place_of(service, environment)
        return S3(self.access(environment)).versions(bucket, key) if bucket else iter(())

    def state_bytes(self, service: str, environment: str, version_id: str) -> bytes:
        """One version of the state, whole. It holds secrets: for comparing, never for showing."""
        from infraconsole.aws.s3 import S3

        bucket, key = self.config.state_place_of(service, environment)
        return S3(self.access(environment)).get(bucket, key, version_id or None).body or b""

    def state_version(self, service: str, environment: str, version_id: str) -> StateSummary:
        """What one version of the state is, with its checksum."""
        from infraconsole.checks import state_digest

        return state_digest.summary_with_md5(
            self.state_bytes(service, environment, version_id), f"Version {version_id}"
        )

    def state_digest(self, service: str, environment: str, current: StoredObject) -> str:
        """The checksum that the lock table keeps of `current`, the version that Terraform reads; "" where it keeps none, where
        another version is the current one by now, and while somebody holds the lock.

        Terraform takes the lock, stores the state, then its digest. In this order of reads, none is of a state half stored.
        """
        from infraconsole.aws.s3 import S3
        from infraconsole.checks import state_digest

        table = self.config.environment(environment).lock_table
        if not table or self.lock(service, environment).lock is not None:
            return ""
        access = self.access(environment)
        kept = state_digest.kept(access, table, current.bucket, current.key)
        now = S3(access).head(current.bucket, current.key)
        return kept if now.is_same(current) else ""

    def errored_state(self, service: str, environment: str) -> Path | None:
        """The state that an apply could not store and has left in the folder of the code; None where there is none."""
        from infraconsole.terraform.backend import ERRORED_STATE

        try:
            left = self.config.root_of(self.config.target(service, environment)) / ERRORED_STATE
        except InfraconsoleError:  # the code is not at hand
            return None
        return left if left.exists() else None

    def state_author(self, environment: str, version: StoredObject) -> Authorship:
        """Who stored this version of a state, from CloudTrail's logs. May read many files of them."""
        from infraconsole.aws.cloudtrail import CloudTrail

        access = self.access(environment)
        cloudtrail = CloudTrail(access)
        trails = self._trails_of(access, cloudtrail.trails)
        records = [trail.records(version.bucket, version.key, access.region) for trail in trails]
        if not any(each is not False for each in records):
            return Authorship(None, recorded=False)
        author = cloudtrail.author_of(trails, self.account(environment).id, access.region, version)
        unasked = next((trail.error for trail in trails if trail.error is not None), None)
        if author is None and unasked is not None and not any(records):
            raise unasked
        return Authorship(author)

    def _trails_of(self, access: AwsAccess, ask: Callable[[], tuple[Trail, ...]]) -> tuple[Trail, ...]:
        key = (id(access), access.generation)
        with self._lock:
            read_at, known = self._trails.get(key, (float("-inf"), ()))
        if clock.seconds() - read_at < _TRAILS_SECONDS:
            return known
        found = ask()
        if all(trail.error is None for trail in found):
            with self._lock:
                self._trails[key] = (clock.seconds(), found)
        return found

    def newest_tags(self, service: str, environment: str, limit: int) -> tuple[PushedTag, ...]:
        """The newest tags in the ECR repository of the service's image; empty where that is in none of this region."""
        from infraconsole.aws.ecr import Ecr, parse_image

        found = self.service(service, environment).application
        reference = parse_image(found.container.image) if found else None
        access = self.access(environment)
        if reference is None or not reference.in_ecr or reference.region != access.region:
            return ()
        return Ecr(access).newest_tags(reference, limit)

    def image_tag_in_code(self, service: str, environment: str) -> str:
        """The image_tag of the environment's tfvars; "" where they do not say, or the code is not at hand."""
        from infraconsole.terraform import tfvars

        file = self.config.tfvars_of(service, environment)
        if file is None or not file.is_file():
            return ""
        try:
            line = tfvars.edit(file, "image_tag", "").before
        except InfraconsoleError:
            return ""
        written = _QUOTED.search(line.partition("=")[2])
        return written[1] if written else ""

    def environments(self, service: str) -> Comparison:
        """The variables of the service's environments beside each other, from its Terraform code. Raises PrerequisiteMissing."""
        from infraconsole.checks import environments
        from infraconsole.config import state_folder
        from infraconsole.errors import PrerequisiteMissing
        from infraconsole.terraform import binary
        from infraconsole.terraform.reader import read_tree

        root = self.config.service(service).path
        if root is None:
            raise PrerequisiteMissing(
                f"The Terraform code of {service} is not known.",
                cause=f"[services.{service}] has no path.",
                mend=f'Write path = "…/infrastructure/terraform" into {self.config.file or "infraconsole.toml"}.',
            )
        return environments.compare_code(
            read_tree(root, state_folder() / "cache", tofu=binary.reads_tofu(self.config.program_of(service))),
            tuple(self.config.environments),
        )

    def variables(self, service: str, environment: str) -> VariablesFacts:
        """What the environment's variables say, from the service's Terraform code. Raises PrerequisiteMissing where that cannot be
        read."""
        if self.config.service(service).path is None:
            return VariablesFacts(None, f"[services.{service}] has no path.")
        with self._code_locks.setdefault(service, threading.Lock()):  # the service's other environments wait for it
            found = self._variables_of(service)
        values = found.values.get(environment)
        read = VariablesFacts(values, "" if values is not None else f"its code has no variables of {environment}.")
        with self._lock:
            # The same as before stays the same object, with what was worked out of it.
            known = self._variables.get((service, environment))
            read = self._variables[service, environment] = known if known == read and known is not None else read
        return read

    def _variables_of(self, service: str) -> Comparison:
        """Read again only where a file has changed since."""
        from infraconsole.terraform.reader import marks_of

        read_at, marks, found = self._code.get(service, (float("-inf"), (), None))
        if found is not None and clock.seconds() - read_at <= _CODE_SECONDS:
            return found
        root = self.config.service(service).path
        seen = marks_of(root) if root else ()
        if found is None or marks != seen:
            found = self.environments(service)
        self._code[service] = (clock.seconds(), seen, found)
        return found

    def lock(self, service: str, environment: str, *, is_free: bool | None = None) -> LockFacts:
        """`is_free`: that nobody holds it is known already, from one look at all locks together."""
        from infraconsole.checks import state_lock

        settings = self.config.environment(environment)
        bucket, key = self.config.state_place_of(service, environment)

        def held() -> LockInfo | None:
            return None if is_free else state_lock.held(self.access(environment), settings, bucket, key)

        if bucket and (settings.use_lockfile or settings.lock_table):
            return LockFacts(True, held())
        found = self._protection(service, environment)
        why, mend = (found.why, found.mend) if found.is_missing else ("", "")
        if not bucket or settings.use_lockfile is False:
            return LockFacts(False, None, why, mend)
        return LockFacts(True, held(), why, mend)

    def _protection(self, service: str, environment: str) -> Protection:
        import os

        from infraconsole.checks import state_protection
        from infraconsole.errors import ToolMissing
        from infraconsole.terraform import binary

        with self._terraform_lock:  # one row asks it for its version, the others wait for that
            program = self.config.program_of(service)
            if program not in self._terraform_versions:
                try:
                    self._terraform_versions[program] = binary.find(program=program).at_least
                except ToolMissing:
                    self._terraform_versions[program] = ()
            version = self._terraform_versions[program]
        return state_protection.of_view(self.config, service, environment, os.environ, version)

    def tasks(self, service: str, environment: str) -> tuple[Task, ...]:
        """Running tasks, then those that stopped within about the last hour."""
        ecs = self.services.ecs(environment)
        cluster, name = naming.cluster(service, environment), naming.ecs_service(service, environment)
        return ecs.tasks(cluster, name) + ecs.tasks(cluster, name, desired_status="STOPPED")

    def targets(self, service: Service, environment: str) -> tuple[TargetHealth, ...]:
        """Who answers behind the service's target groups; empty where it has none."""
        from infraconsole.aws.elbv2 import Elbv2

        elbv2 = Elbv2(self.access(environment))
        return tuple(target for group in service.target_groups for target in elbv2.target_health(group))

    def revisions(self, service: str, environment: str, most: int = REVISIONS_SHOWN) -> Revisions:
        """The newest ACTIVE revisions of the family that the service is on, newest first. The family that is called as convention
        has it is only where to look if there is no such service."""
        from infraconsole.aws.ecs import family_and_revision

        ecs = self.services.ecs(environment)
        try:
            found = ecs.service(naming.cluster(service, environment), naming.ecs_service(service, environment))
            family = family_and_revision(found.task_definition)[0] or naming.task_family(service, environment)
        except AwsNotFound:
            family = naming.task_family(service, environment)
        listed = ecs.revisions(family)
        shown = tuple(islice(listed, most))
        following = next(listed, None)
        if following is None:
            return Revisions(family, shown, len(shown))
        key = (environment, shown[0])
        with self._lock:
            total = self._totals.get(key, 0)
        if not total:
            total = len(shown) + 1 + sum(1 for _ in listed)
            with self._lock:
                self._totals[key] = total
        return Revisions(family, shown, total)

    def history(self, service: str, environment: str) -> tuple[ServiceDeployment, ...]:
        """The service's deployments of the last 90 days, newest first."""
        cluster, name = naming.cluster(service, environment), naming.ecs_service(service, environment)
        return self.services.ecs(environment).service_deployments(cluster, name)

    def log_lines(
        self, group: str, environment: str, *, since: datetime, limit: int, stream: str = ""
    ) -> tuple[LogLine, ...]:
        """The newest lines of a log group, oldest first; `stream` narrows it to streams of that beginning."""
        from infraconsole.aws.logs import Logs

        return Logs(self.access(environment)).lines(group, since=since, limit=limit, stream_prefix=stream or None)

    def alarms(self, service: str, environment: str) -> tuple[Alarm, ...]:
        from infraconsole.aws.cloudwatch import CloudWatch

        return CloudWatch(self.access(environment)).alarms(naming.alarm_prefix(service, environment))

    def exports(self, service: str, environment: str) -> ExportFacts:
        return self.needed.facts(service, environment)

    @property
    def needed(self) -> Needed:
        """What services need of the exports. Made when it is first asked for, in a thread: its rules take time to import."""
        from infraconsole.exports.needed import Needed

        with self._lock:
            self._needed = self._needed or Needed(self.config, self.access)
        return self._needed

    def account(self, environment: str) -> Account:
        """Whose credentials these are; asked once per access, and again when that has new ones."""
        from infraconsole.aws.sts import identity

        access = self.access(environment)
        key = (id(access), access.generation)
        with self._lock:
            known = self._accounts.get(key)
        if known is None:
            who = identity(access)
            known = Account(who.account, who.arn)
            if access.budget is not None:
                access.budget = self._budgets.learned(access.budget, who.account, access.region)
            with self._lock:
                self._accounts[key] = known
        return known

    def with_alias(self, environment: str) -> Account:
        """As `account`, with the alias where there is one and it may be read."""
        from infraconsole.aws.sts import account_alias

        known = self.account(environment)
        access = self.access(environment)
        key = (id(access), access.generation)
        with self._lock:
            if key in self._aliases_asked:
                return self._accounts.get(key, known)
            self._aliases_asked.add(key)
        try:
            alias = account_alias(access) or ""
        except InfraconsoleError:
            return known
        with self._lock:
            self._accounts[key] = replace(known, alias=alias)
            return self._accounts[key]
