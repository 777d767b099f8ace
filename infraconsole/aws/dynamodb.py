"""DynamoDB, as far as Terraform's lock table goes: the item that is the lock, and the one with the state's digest."""

from __future__ import annotations

from infraconsole.aws.access import AwsAccess


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
        return {str(name): str(next(iter(typed.values()), "")) for name, typed in item.items()}
