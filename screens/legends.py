"""What the columns and the signs of each screen mean, for its help: nobody has to know them by heart at night."""

from __future__ import annotations

Legend = tuple[tuple[str, str], ...]

SIGNS: Legend = (
    ("✓", "as it should be, or done"),
    ("▲", "worth a look"),
    ("✗", "wrong, or failed"),
    ("•", "being changed now"),
    ("·", "nothing to report, or not started yet"),
    ("…", "being read"),
    ("-", "there is nothing, or it does not apply"),
)
BAND: Legend = (
    (
        "top line",
        "environment, account and region of what you look at; ! below it: why it cannot be read, or is not what it seems",
    ),
    (
        "(override)",
        "you look with another profile or region than configured: :profile and :region; :profile - goes back",
    ),
    ("L", "logs in where the top line says so; :login does at any time"),
)
"""Of every screen."""
BOARD: Legend = (
    *SIGNS,
    ("!", "reading it failed; d shows why"),
    ("tasks", "running tasks of those desired"),
    ("rollout", "where the newest deployment stands"),
    ("image", "the image that serves; behind an arrow the one that is being rolled out"),
    ("since", "how long ago that deployment began"),
    ("alarms", "CloudWatch alarms: how many ring, or how many are fine"),
    ("last run", "the newest run of this console on this service"),
    ("state", "serial of the Terraform state, and how long ago it was written"),
    ("lock", "who holds the state's lock, and for how long"),
    ("exports", "shared parameters that the service needs: how many are there; ▲ how many their check finds wrong"),
    ("read", "how old what you see is"),
    ("↑ ↓", "the list is sorted by this column, the smallest or the largest first"),
    ("[1 dev]", "only this environment is shown; 0 shows all"),
    ("7 ×", "below the list: so many tasks that stopped for the same reason"),
)
CONTAINERS: Legend = (
    *SIGNS,
    ("task", "the last characters of the task's id; 7 ×: so many tasks that stopped for the same reason"),
    ("status", "of a task that runs: what its own health check says, where it has one"),
    ("why it stopped", "in short; d shows ECS's own words"),
    ("what ECS says", "its events, in short; d shows its own words"),
    ("image", "the image's tag in that revision"),
    ("rev", "revision of the task definition"),
    ("zone", "availability zone"),
    ("state", "of a target: what the load balancer's health check says"),
    ("group", "the target group that it is registered in"),
    ("▶ →", "the revision that serves, and the one that is being rolled out"),
    ("○", "the revision that the service is on, while none of its tasks runs"),
    ("at, age", "when it began or ended, in your time zone, and how long ago"),
    ("deployed", "how the newest deployment of this revision ended"),
    ("registered", "how long ago the revision was made"),
    ("cpu, MiB", "CPU units (1,024 are one vCPU) and memory of the whole task"),
    ("INACTIVE", "deregistered: ECS starts no service on it"),
)
RUN: Legend = (
    ("▶", "the step that is under way"),
    ("?", "it waits for an answer"),
    ("✓", "done"),
    ("–", "left out"),
    ("✗", "failed"),
    ("■", "the run ended in it"),
    ("·", "not started yet"),
    ("↺", "the run went back to an earlier step"),
    ("▲", "a warning"),
    ("$", "a command, as you would type it by hand"),
    ("time", "what the step took, without the time it waited for a person"),
    ("+ - ~", "in a difference: added, removed, changed"),
)
STATE: Legend = (
    *SIGNS,
    ("serial", "Terraform counts it up with every write of the state"),
    ("resources", "how many resources this version holds"),
    ("Terraform", "the version that wrote it"),
    ("written", "when, in your time zone"),
    ("version", "S3's id of this version of the object"),
    ("• in front", "marked, to be compared with the one under the cursor"),
)
ENVIRONMENTS: Legend = (
    *SIGNS,
    ("variable", "an input variable of the Terraform code"),
    ("dev, prod…", "what each environment's tfvars say, or the default of the code"),
)
EXPORTS: Legend = (
    *SIGNS,
    ("export", "a shared parameter, by its path"),
    ("ver", "the parameter's version: counted up with every write"),
    ("changed", "how long ago it was written last"),
    ("used by", "the services whose code reads it"),
    ("by", "who wrote it last"),
    ("key", "the KMS key of a SecureString"),
)
JOURNAL: Legend = (
    ("state", "how the run ended, or what it does now"),
    ("began, took", "how long ago it began, and how long it took"),
    ("by", "who began it"),
    ("to do", "follow-ups that are still open"),
    ("id", "the run's name: infraconsole journal ID"),
)
LOGS: Legend = (
    ("✗ ▲", "an error, a warning: by the words at the beginning of the line"),
    ("at", "when the application wrote it, in your time zone"),
    ("task", "the last characters of the task that wrote it"),
)
PLAN: Legend = (
    ("+", "created"),
    ("~", "changed in place"),
    ("-", "destroyed"),
    ("-/+ +/-", "replaced: destroyed and then created, or created first"),
    ("▸ ▾", "folded, unfolded"),
    *SIGNS,
)
