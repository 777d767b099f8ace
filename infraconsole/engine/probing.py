"""What is known of a step that changes something: its probe is asked, and asked again until what it says can be believed.

`Not done` is believed of an unanswered call only some time after it was sent, since AWS may still carry it out, or have carried
it out and not show it yet. What AWS does not show yet is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infraconsole import clock
from infraconsole.clock import Deadline
from infraconsole.engine.event import Kind
from infraconsole.engine.runbook import Intent, Probe, ProbeState, Step, StepContext
from infraconsole.errors import NotVisibleYet

FRESH_SECONDS = 2.0
"""How long what a probe saw is good enough to act on."""
_PAUSE_SECONDS = 1.0


class Probing:
    """Probes the steps of one executor. `write` writes an event."""

    def __init__(self, context: StepContext, write: Callable[..., Any]) -> None:
        self._context = context
        self._write = write
        self._looked_at = float("-inf")
        self._settling: dict[str, Deadline] = {}
        """By call: how long `not done` is not believed of it yet."""

    @property
    def is_fresh(self) -> bool:
        """Whether what the newest probe saw is still good enough to act on."""
        return clock.seconds() - self._looked_at <= FRESH_SECONDS

    def probe(self, step: Step) -> Probe:
        """What can be believed of the step. Raises NotVisibleYet where AWS does not show it in time, and InterruptRequested."""
        patience = Deadline(self._context.config.engine.visible_seconds)
        overtaken: Probe | None = None
        said: ProbeState | None = None
        while True:
            self._looked_at = clock.seconds()
            # Judged before the look: what is settled only when the look is over may have come in between.
            settled = self._settled_call()
            probe = step.probe(self._context)
            if probe.state is ProbeState.OVERTAKEN:
                overtaken = probe
            settling = self._of_call(probe, settled)
            if settling is None and probe.state is not ProbeState.NOT_VISIBLE:
                break
            if settling is None and patience.is_over():
                raise self._not_visible(step, probe)
            if probe.state is not said:
                said = probe.state
                self._say(probe, settling)
            self._context.wait(min(_PAUSE_SECONDS, (settling or patience).pause_seconds))
        if overtaken is not None and probe.state is ProbeState.NOT_DONE:
            # One look has shown another situation and a later one has not: answers may come from copies of different age.
            probe = overtaken
        self._write(Kind.PROBED, state=probe.state.value, detail=probe.detail)
        return probe

    def _settled_call(self) -> str:
        """The unanswered call of which `not done` can be believed by now; "" where there is none."""
        intent = self._context.unanswered()
        return intent.call if intent is not None and self._deadline_of(intent).is_over() else ""

    def _of_call(self, probe: Probe, settled: str) -> Deadline | None:
        """What is still to be waited for before the probe is believed; None where nothing is."""
        intent = self._context.unanswered() if probe.state in (ProbeState.NOT_DONE, ProbeState.OVERTAKEN) else None
        return None if intent is None or intent.call == settled else self._deadline_of(intent)

    def _deadline_of(self, intent: Intent) -> Deadline:
        """Counts from when the call was sent. Where that cannot be told on this machine's clock, since it was started again or the
        journal does not say, all of the time counts from here."""
        if intent.call not in self._settling:
            passed = intent.stamp.awake_age if intent.stamp else None
            self._settling[intent.call] = Deadline(self._context.config.engine.settle_seconds - (passed or 0.0))
        return self._settling[intent.call]

    def _say(self, probe: Probe, settling: Deadline | None) -> None:
        self._write(Kind.PROBED, state=ProbeState.NOT_VISIBLE.value, detail=probe.detail)
        if settling is not None:
            left = f"{settling.left_seconds:.0f} s"
            follows = (
                f"A call was sent and got no answer. Looking again for {left} before it counts as not carried out."
            )
        else:
            follows = "AWS does not show it yet: looking again."
        self._write(Kind.NOTE, level="info", text=f"{probe.detail} {follows}".strip())

    def _not_visible(self, step: Step, probe: Probe) -> NotVisibleYet:
        self._write(Kind.PROBED, state=probe.state.value, detail=probe.detail)
        return NotVisibleYet(
            f"{step.title}: AWS does not show yet whether this was done.",
            cause=probe.detail,
            mend="Nothing is sent again blindly.",
        )
