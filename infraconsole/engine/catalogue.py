"""Which runbooks there are. A new one is added here and nowhere else."""

from __future__ import annotations

from infraconsole.engine.runbook import Runbook
from infraconsole.errors import UnknownName


def runbooks() -> tuple[Runbook, ...]:
    # Here, and not above: runbooks are built on the engine, and this list is the one thing in it that looks up at them.
    from infraconsole.runbooks.deploy import RUNBOOK as DEPLOY
    from infraconsole.runbooks.digest_repair import RUNBOOK as DIGEST_REPAIR
    from infraconsole.runbooks.ecs_rollback import RUNBOOK as ECS_ROLLBACK
    from infraconsole.runbooks.export_put import RUNBOOK as EXPORT_PUT
    from infraconsole.runbooks.state_recover import RUNBOOK as STATE_RECOVER
    from infraconsole.runbooks.state_rollback import RUNBOOK as STATE_ROLLBACK
    from infraconsole.runbooks.state_undelete import RUNBOOK as STATE_UNDELETE
    from infraconsole.runbooks.state_unlock import RUNBOOK as STATE_UNLOCK
    from infraconsole.runbooks.strays_dismiss import RUNBOOK as STRAYS_DISMISS

    return (
        ECS_ROLLBACK,
        DEPLOY,
        STATE_ROLLBACK,
        STATE_RECOVER,
        STATE_UNDELETE,
        STATE_UNLOCK,
        DIGEST_REPAIR,
        STRAYS_DISMISS,
        EXPORT_PUT,
    )


def runbook(name: str) -> Runbook:
    """Raises UnknownName."""
    known = {known.name: known for known in runbooks()}
    if name not in known:
        raise UnknownName("runbook", name, known, mend="`infraconsole runbooks` lists them with their inputs.")
    return known[name]
