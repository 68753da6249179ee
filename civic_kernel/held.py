"""Questions that wait for a person: shown calmly while they wait, listed, decided on.

The kernel may be interrupted at any time: the question waits at the gateway and not here, and is asked again
later in the same words.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from civic_kernel.affordable import percent
from civic_kernel.errors import QuestionRefused, QuestionWaits
from civic_kernel.texts import Language, speaker, text
from civic_kernel.wire import Held

if TYPE_CHECKING:
    import pandas as pd

    from civic_kernel.client import Client

#: How long a kernel waits by itself, and the pauses between two looks: from the first to the longest.
WAIT_SECONDS = 1800.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
OPEN = ("waiting", "approved")


class WaitingStopped(KeyboardInterrupt):
    """The person at the kernel stopped waiting. A KeyboardInterrupt, so that no `except Exception` goes on with the
    next question; it shows as two sentences instead of frames.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self._lines = [message, remedy]

    def __str__(self) -> str:
        return " ".join(self._lines)

    def _render_traceback_(self) -> list[str]:
        return self._lines


@dataclass(frozen=True)
class Waiting:
    """One question that waits or waited: what it asks, what it costs, who decides, how it stands."""

    body: Held
    language: Language

    def lines(self) -> list[tuple[str, str]]:
        """(label, value) in reading order."""
        say = speaker(self.language, "kernel", "waiting.")
        b = self.body
        state = text(self.language, "kernel", f"waiting.state.{b.state}", person=b.decided_by or "")
        rows = [
            (say("state"), state),
            (say("question"), b.question.get(self.language)),
            (say("price"), self._price()),
            (say("asked"), say("asked_by", name=b.asker, team=b.team)),
        ]
        if b.state == "waiting":
            rows.append((say("who"), text(self.language, "kernel", f"waiting.who.{b.cause}", team=b.team)))
            if b.mine:
                rows.append((say("meanwhile"), say("meanwhile_how")))
        return [*rows, (say("number"), b.approval_id)]

    def _price(self) -> str:
        say = speaker(self.language, "kernel", "waiting.")
        months = ", ".join(self.body.price.periods)
        rho = format(Decimal(self.body.price.rho).scaleb(-9).normalize(), "f")
        if self.body.price.share_of_left is None:
            return say("rho", rho=rho, months=months)
        share = percent(self.body.price.share_of_left)
        return say("share", percent=share, team=self.body.team, rho=rho, months=months)

    def __str__(self) -> str:
        return " · ".join(f"{label}: {value}" for label, value in self.lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<dt style="font-weight:600;float:none;width:auto">{html.escape(label)}</dt>'
            f'<dd style="margin:0;float:none;width:auto">{html.escape(value)}</dd>'
            for label, value in self.lines()
        )
        # As the price card: inline, without colour; `status` lets a screen reader say what changed.
        return (
            '<dl role="status" style="display:grid;grid-template-columns:max-content 1fr;gap:.2em 1em;'
            "border:1px solid;border-radius:6px;padding:.6em 1em;max-width:44em;margin:.5em 0"
            f'">{rows}</dl>'
        )


def wait_for(held: Held, look: Callable[[], Held], language: Language, wait_seconds: float) -> None:
    """Until somebody has decided; then the same question goes through, or is asked anew.

    Raises QuestionRefused, QuestionWaits after `wait_seconds`, or WaitingStopped.
    """
    import tenacity

    again = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda one: one.state == "waiting"),
        stop=tenacity.stop_after_delay(wait_seconds),
        wait=tenacity.wait_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
        retry_error_callback=lambda tried: tried.outcome.result() if tried.outcome else held,
    )
    card = _Card(Waiting(held, language))
    try:
        now = again(look)
    except KeyboardInterrupt:
        say = speaker(language, "kernel", "waiting.stopped")
        # `from None`: where in our loop it was stopped helps nobody.
        raise WaitingStopped(say("", approval=held.approval_id), say(".remedy")) from None
    card.change(Waiting(now, language))
    if now.state == "refused":
        raise QuestionRefused.say(language)
    if now.state == "waiting":
        raise QuestionWaits.say(language, approval=held.approval_id)


class _Card:
    """The card in a notebook, which changes in its place; lines in a terminal."""

    def __init__(self, shown: Waiting) -> None:
        import sys

        ipython = sys.modules.get("IPython")
        in_notebook = ipython is not None and ipython.get_ipython() is not None
        self._display: Any = ipython.display.display if ipython is not None and in_notebook else None
        self._handle = self._display(shown, display_id=True) if self._display else None
        if not in_notebook:
            self._print(shown)

    def change(self, shown: Waiting) -> None:
        if self._handle is not None:
            self._handle.update(shown)
        elif self._display is None:
            self._print(shown)

    def _print(self, shown: Waiting) -> None:
        import sys

        print(shown, file=sys.stderr)


def table(client: Client, *, everything: bool = False) -> pd.DataFrame:
    """What waits in the asker's teams, newest first: one row for each question.

    Columns: `approval_id`, `state`, `question`, `share` (of what its team has left, 0.05 is 5 %), `rho` (of each
    month), `asker`, `team`, `cause`, `asked_at`, `can_decide` (by who asks for this list). With `everything` also
    those that are decided and over.
    """
    import pandas as pd

    columns = ["approval_id", "state", "question", "share", "rho", "asker", "team", "cause", "asked_at"]
    rows = [
        (
            line.approval_id,
            line.state,
            line.question.get(client.language),
            float(line.price.share_of_left) if line.price.share_of_left else None,
            line.price.rho / 1e9,
            line.asker,
            line.team,
            line.cause,
            line.asked_at,
            line.can_decide,
        )
        for line in client.approvals()
        if everything or line.state in OPEN
    ]
    return pd.DataFrame(rows, columns=[*columns, "can_decide"])
