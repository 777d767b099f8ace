"""Terraform roots that are attacked: small ones of no provider, each with a state, a lock and a repository of its own."""

from __future__ import annotations

import contextlib
import json
import random
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infraconsole.config import Config
from tests.attacks.plan import Plan
from tests.terraform.conftest import FIRST, HEAD, SERVICE, TABLE, VARIABLES, Site, data, state_of
from tests.world.conftest import client

OLD, NEW = "old", "new"
ECHOES = {
    "plain": "echo ${nonsensitive(var.db_password)}",
    "base64": "echo ${base64encode(nonsensitive(var.db_password))}",
    "url": "echo 'x?password=${urlencode(nonsensitive(var.db_password))}'",
    "broken": "echo ${nonsensitive(var.db_password)} | fold -w 20",
}
"""How a provisioner prints what the code calls sensitive."""


def planted() -> str:
    """A secret of which some characters are others in a URL."""
    return f"planted+{uuid.uuid4().hex}/x"


class Root:
    """What the roots have in common. `somebody` makes clients of somebody else."""

    service = SERVICE

    def __init__(self, somebody: Callable[[str], Any], site: Site, plan: Plan) -> None:
        self._s3, self._dynamodb = somebody("s3"), somebody("dynamodb")
        self.site = site
        self.site.journal.close()  # the run's journal is the attack's
        self.config: Config = site.config
        self.environment = plan.environment
        self.secrets = [planted()]
        self.inputs = {"reason": f"{self.environment} has to be put right"}
        name = f"{SERVICE}-{self.environment}"
        self.answers = [("type-target", name), ("type-danger", name), ("confirm", "yes"), ("reason", "it is broken")]
        self.answers += [("approve", "platform-lead:CHG-1"), ("approve", "cto:CHG-1")]
        self._runs = site.folder.parent / "../state/runs"

    def is_under_way(self) -> bool:
        return self.site.begun.exists()

    def let_go(self) -> None:
        self.site.go.touch()

    def sent(self) -> int:
        raise NotImplementedError

    def is_as_wanted(self) -> str:
        raise NotImplementedError

    def was_as_wanted(self) -> str:
        return ""

    def elsewhere(self) -> dict[str, str]:
        return self.inputs

    def left_locked(self) -> str:
        lock = self.site.lock(self.environment)
        return f"{lock.who} holds it for {lock.operation} ({lock.id})" if lock else ""

    def somebody_changes_it(self) -> None:
        """As an apply of theirs would, under the lock; where the state is locked they wait, and come too late."""
        with contextlib.suppress(
            self._dynamodb.exceptions.ConditionalCheckFailedException, self._s3.exceptions.ClientError
        ):
            self._take_the_lock()
            try:
                state = self.site.state(self.environment)
                self._store(state_of({"theirs": "x"}, serial=state["serial"] + 1, lineage=state["lineage"]))
            finally:
                self._give_it_back()

    def _store(self, body: bytes) -> None:
        self.site.put(body, self.environment)

    def _take_the_lock(self) -> None:
        info = {"ID": str(uuid.uuid4()), "Operation": "theirs", "Who": "lee@laptop", "Version": "1.11.4", "Info": ""}
        info |= {"Created": "2025-10-21T01:02:03.456789012Z", "Path": self._path}
        if self.site.locking == "lockfile":
            self._s3.put_object(
                Bucket=self.site.bucket(self.environment),
                Key=f"{self.site.key}.tflock",
                Body=json.dumps(info).encode(),
                IfNoneMatch="*",
            )
        else:
            self._dynamodb.put_item(
                TableName=TABLE,
                Item={"LockID": {"S": self._path}, "Info": {"S": json.dumps(info)}},
                ConditionExpression="attribute_not_exists(LockID)",
            )

    def _give_it_back(self) -> None:
        if self.site.locking == "lockfile":
            self._s3.delete_object(Bucket=self.site.bucket(self.environment), Key=f"{self.site.key}.tflock")
        else:
            self._dynamodb.delete_item(TableName=TABLE, Key={"LockID": {"S": self._path}})

    @property
    def _path(self) -> str:
        return f"{self.site.bucket(self.environment)}/{self.site.key}"

    def _started(self, command: str) -> int:
        """How many of that command were started."""
        files = self._runs.glob(f"*/*-{command}/pid")
        return sum((file.read_text().split() or ["0"])[0] != "0" for file in files)

    def _versions(self) -> list[str]:
        return self.site.versions(self.environment)


class Deploy(Root):
    """One resource is updated, three are made; the slow one writes a line into a log each time that it is made."""

    def __init__(self, somebody: Callable[[str], Any], site: Site, plan: Plan) -> None:
        super().__init__(somebody, site, plan)
        self._value = f"value-{plan.seed}"
        more = 'variable "db_password" {\n  type      = string\n  sensitive = true\n}\n\n'
        for hit in plan.hits:
            if hit.kind == "echoed-secret":
                command = json.dumps(ECHOES[hit.how])
                more += data("echo", "var.value", f'  provisioner "local-exec" {{\n    command = {command}\n  }}\n')
        code = (FIRST, data("secret", "var.db_password"), site.waiting(), data("after", "terraform_data.slow.output"))
        site.write(f"{HEAD}{VARIABLES}{more}{''.join(code)}")
        site.write_vars(self.environment, value=self._value, db_password=self.secrets[0])
        site.commit()
        site.seed(self.environment, first=OLD)
        if not any(hit.moment and hit.moment.inside for hit in plan.hits):
            self.let_go()

    def sent(self) -> int:
        return self.site.makings

    def is_as_wanted(self) -> str:
        found = self.site.values(self.environment)
        found.pop("echo", None)
        wanted = {"first": self._value, "slow": self._value, "after": self._value, "secret": self.secrets[0]}
        return "" if found == wanted else f"the state says {sorted(found.items())}"


class StateRollback(Root):
    """The second of three versions is put back."""

    def __init__(self, somebody: Callable[[str], Any], site: Site, plan: Plan) -> None:
        super().__init__(somebody, site, plan)
        site.write_vars(self.environment, value="three")
        site.commit()
        site.seed(self.environment, serial=4, first="one")
        chosen = site.seed(self.environment, serial=5, first="two", second="build-1")
        site.seed(self.environment, serial=6, first="three", second="build-1")
        self.inputs["version"] = chosen

    def sent(self) -> int:
        return self._started("state-push")

    def is_as_wanted(self) -> str:
        found, serial = self.site.values(self.environment), self.site.state(self.environment)["serial"]
        fine = found == {"first": "two", "second": "build-1"} and serial in (7, 8)
        return "" if fine else f"serial {serial} says {found}"


class StateUnlock(Root):
    """A lock whose holder is gone."""

    def __init__(self, somebody: Callable[[str], Any], site: Site, plan: Plan) -> None:
        super().__init__(somebody, site, plan)
        site.seed(self.environment, first="one")
        self._take_the_lock()

    def sent(self) -> int:
        return self._started("force-unlock")

    def is_as_wanted(self) -> str:
        return self.left_locked()

    def somebody_changes_it(self) -> None:
        """They take it away themselves, and begin to work."""
        self._give_it_back()
        self._take_the_lock()


class DigestRepair(Root):
    """A state that was written outside of Terraform."""

    def __init__(self, somebody: Callable[[str], Any], site: Site, plan: Plan) -> None:
        super().__init__(somebody, site, plan)
        site.seed(self.environment, first="one")
        body = state_of({"first": "swapped"}, serial=1, lineage=site.lineage)
        site.put(body, self.environment, digest=False)
        self._md5 = self._digest()

    def sent(self) -> int:
        return int(self._digest() != self._md5)

    def is_as_wanted(self) -> str:
        import hashlib

        wanted = hashlib.md5(self.site.stored(self.environment), usedforsecurity=False).hexdigest()
        return "" if self._digest() == wanted else f"the digest is {self._digest()}"

    def _digest(self) -> str:
        key = {"LockID": {"S": f"{self._path}-md5"}}
        return str(self._dynamodb.get_item(TableName=TABLE, Key=key)["Item"]["Digest"]["S"])


class StateUndelete(Root):
    """A state that was deleted."""

    def __init__(self, somebody: Callable[[str], Any], site: Site, plan: Plan) -> None:
        super().__init__(somebody, site, plan)
        site.seed(self.environment, serial=4, first="one")
        self._kept = self._versions()
        client(site.world, "s3").delete_object(Bucket=site.bucket(self.environment), Key=site.key)

    def sent(self) -> int:
        return int(self._is_back())

    def is_as_wanted(self) -> str:
        return "" if self._is_back() else "it is still deleted"

    def somebody_changes_it(self) -> None:
        self._store(state_of({"theirs": "x"}, serial=5, lineage=self.site.lineage))

    def _is_back(self) -> bool:
        return bool(self.site.stored(self.environment)) and self._versions() == self._kept


RUNBOOKS: dict[str, Callable[[Callable[[str], Any], Site, Plan], Root]] = {
    "deploy": Deploy,
    "state-rollback": StateRollback,
    "state-unlock": StateUnlock,
    "digest-repair": DigestRepair,
    "state-undelete": StateUndelete,
}


def root(somebody: Callable[[str], Any], world: Any, plan: Plan, folder: Path) -> Root:
    locking = random.Random(plan.seed).choice(("dynamodb", "lockfile"))  # noqa: S311
    if plan.runbook in ("digest-repair", "state-undelete"):
        locking = "dynamodb"
    site = Site(world, folder / "site", f"attack-{plan.seed}-{uuid.uuid4().hex[:6]}", locking)
    return RUNBOOKS[plan.runbook](somebody, site, plan)
