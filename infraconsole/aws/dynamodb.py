"""DynamoDB, as far as Terraform's lock table goes: the item that is the lock, and the one with the state's digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infraconsole.aws.access import AwsAccess
from infraconsole.aws.batches import batches, distinct
from infraconsole.errors import Throttled

ITEMS_PER_CALL = 100
_ROUNDS = 8
"""How often is asked again for what AWS left out of its answer."""


class DynamoDb:
    """Reads of one region's tables. Every method raises AwsError."""

    def __init__(self, access: AwsAccess) -> None:
        self.access = access

    def item(self, table: str, lock_id: str) -> dict[str, str] | None:
        """The item whose LockID is `<bucket>/<key>` (the lock: Info) or `<bucket>/<key>-md5` (Digest); None if none.

        Read consistently, since a lock that was just taken must not be missed. A missing table raises AwsNotFound.
        """
        key = {"LockID": {"S": lock_id}}
        answer = self.access.call("dynamodb", "GetItem", TableName=table, Key=key, ConsistentRead=True)
        item = answer.get("Item")
        if not item:
            return None
        return _plain(item)

    def items(self, table: str, lock_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """As `item`, of many at once, by their LockID; those that are not there are left out. It needs dynamodb:BatchGetItem."""
        found: dict[str, dict[str, str]] = {}
        for batch in batches(distinct(lock_ids), ITEMS_PER_CALL):
            wanted: Mapping[str, Any] = {
                table: {"Keys": [{"LockID": {"S": lock_id}} for lock_id in batch], "ConsistentRead": True}
            }
            for _ in range(_ROUNDS):
                answer = self.access.call("dynamodb", "BatchGetItem", RequestItems=wanted)
                for raw in (answer.get("Responses") or {}).get(table) or ():
                    item = _plain(raw)
                    found[item.get("LockID", "")] = item
                wanted = answer.get("UnprocessedKeys") or {}
                if not wanted:
                    break
            else:
                raise Throttled(
                    f"The lock table {table} does not answer all that it is asked for.",
                    operation="dynamodb:BatchGetItem",
                    code="ProvisionedThroughputExceededException",
                )
        return found


def _plain(item: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(next(iter(typed.values()), "")) for name, typed in item.items()}
