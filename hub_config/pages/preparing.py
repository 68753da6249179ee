"""What a facilitator lets the workspace do before her workshop, from her page: the check, the price of the tables that
the notebook asks for, and buying them.

Each runs in a thread for up to some minutes while her page shows how far it is; what it found stays until the next one
or the Hub's restart. One at a time for a workshop: two purchases at once would each pay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from hub_config.runtime import current_cards, current_people, current_settings, current_workshops
from hub_config.texts import Language, text
from hub_config.workshop import checking
from hub_config.workshop.checking import Finding
from hub_config.workshop.rehearsal import SCOPES, TOKEN_S, Rehearsed, rehearse
from hub_config.workshop.workshops import Workshop

What = Literal["check", "price", "buy"]


@dataclass
class Work:
    """One press: `lines` come while it runs. A fault of ours ends it with `failed`."""

    what: What
    began: float
    lines: list[Finding] = field(default_factory=list)
    ended: float | None = None
    failed: bool = False


class Preparing:
    """The work of all workshops. Its methods are called in the Hub's thread."""

    def __init__(self) -> None:
        self._work: dict[str, Work] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, workshop: Workshop) -> Work | None:
        return self._work.get(workshop.slug)

    def start(self, workshop: Workshop, what: What, user: Any, log: Any) -> bool:
        """False if something runs already. `user` is the facilitator's, of the Hub: she pays with her own rights."""
        now = self._work.get(workshop.slug)
        if now is not None and now.ended is None:
            return False
        work = self._work[workshop.slug] = Work(what, time.time())
        task = asyncio.create_task(self._run(work, workshop, user, log))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _run(self, work: Work, workshop: Workshop, user: Any, log: Any) -> None:
        try:
            await asyncio.to_thread(self._act(work, workshop, user))
        except Exception:
            work.failed = True
            log.exception("preparing %s failed", workshop.slug)
        finally:
            work.ended = time.time()

    def _act(self, work: Work, workshop: Workshop, user: Any) -> Callable[[], object]:
        settings, people = current_settings(), current_people()
        if work.what == "check":
            tables = (people, current_workshops(), current_cards())
            return lambda: checking.check(settings, *tables, workshop, work.lines.append)
        token = user.new_api_token(note="workshop", expires_in=TOKEN_S, scopes=SCOPES)
        account = people.account(user.name)

        def buy() -> None:
            found = rehearse(settings, account, workshop, token, buy=work.what == "buy")
            work.lines.extend(_told(workshop, found))

        return buy


def _told(workshop: Workshop, found: Rehearsed) -> list[Finding]:
    ran = Finding("notebook", not found.stopped, {"notebook": workshop.notebook, "where": found.stopped})
    if found.stopped:
        return [ran]
    if found.bought:
        return [ran, Finding("budget", True, {"tables": found.bought}, "bought")]
    return [ran, checking.budget_finding(found)]


@dataclass(frozen=True)
class Shown:
    """What the page says of it. `can_buy`: the price has been told, and there is something to pay."""

    title: str
    runs: bool
    failed: bool
    lines: tuple[tuple[bool, str], ...]
    can_buy: bool


def show(work: Work | None, language: Language) -> Shown | None:
    if work is None:
        return None
    runs = work.ended is None
    to_pay = any(line.what == "budget" and not line.good and not line.said for line in work.lines)
    return Shown(
        title=text(language, f"prepare.{work.what}"),
        runs=runs,
        failed=work.failed,
        lines=tuple((line.good, line.sentence(language)) for line in work.lines),
        can_buy=not runs and to_pay,
    )
