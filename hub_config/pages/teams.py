"""/hub/teams: the stewards of both sides say who is in which team, while everybody works.

Either side may change a team alone, and neither unseen: the last changes, with who made them, stand on the same page
for both. What takes somebody's rights away asks once more, in a sentence that says what she will no longer be able to
do. The page runs no script.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from jupyterhub.handlers.base import BaseHandler
from tornado import web

from hub_config.errors import PersonRefused
from hub_config.members.people import Account
from hub_config.members.teams import CONSOLE, Change, Kind
from hub_config.runtime import current_people, current_teams
from hub_config.texts import Language, text

SEOUL = ZoneInfo("Asia/Seoul")
#: Changes shown; all of them stay in the table.
NEWEST = 100


class TeamsHandler(BaseHandler):  # type: ignore[misc]
    """GET shows all teams; POST `do` = make, rename, put or remove changes one, and shows the page again."""

    @web.authenticated
    async def get(self) -> None:
        self._steward()
        done = self.get_query_argument("done", "")
        await self._show(done=done if done in _DONE else "")

    @web.authenticated
    async def post(self) -> None:
        steward = self._steward()
        do = self.get_body_argument("do", "")
        change = _CHANGES.get(do)
        if change is None:
            raise web.HTTPError(400)
        team, person = self.get_body_argument("team", ""), self.get_body_argument("person", "")
        try:
            if self._takes_away(do, team, person) and self.get_body_argument("sure", "") != "1":
                await self._ask(do, team, person)
                return
            change(self, steward.name)
        except PersonRefused as refusal:
            self.set_status(409)
            await self._show(refused=refusal.sentence(self.language))
            return
        self.app.membership.follow()
        self.redirect(f"{self.request.path}?done={do}")

    def _steward(self) -> Account:
        """Whoever holds a right of one side, asked of the tables: a role that was taken away counts at once."""
        account: Account | None = current_people().find(self.current_user.name)
        if account is None or not account.is_steward:
            raise web.HTTPError(403)
        return account

    def _kind(self) -> Kind:
        return "observer" if self.get_body_argument("kind", "") == "observer" else "member"

    def _takes_away(self, do: str, team: str, person: str) -> bool:
        held = current_teams().find(team).kind_of(person) if do in ("put", "remove") else None
        return held is not None and (do == "remove" or (held == "member" and self._kind() == "observer"))

    async def _ask(self, do: str, team: str, person: str) -> None:
        await self._render(
            "teams_sure.html",
            do=do,
            team=current_teams().find(team),
            person=current_people().account(person),
            kind=self._kind(),
        )

    async def _show(self, **more: object) -> None:
        teams = current_teams()
        shown = teams.all()
        language: Language = self.language
        titles = {team.slug: team.title(language) for team in shown}
        await self._render(
            "teams.html",
            teams=shown,
            candidates=teams.candidates(),
            changes=[tell(language, change, titles) for change in teams.changes(newest=NEWEST)],
            **{"done": "", "refused": "", **more},
        )

    async def _render(self, template: str, **facts: object) -> None:
        html: Any = await self.render_template(template, **facts)
        self.finish(html)

    def _make(self, by: str) -> None:
        current_teams().make(self.get_body_argument("team", "").strip(), *self._titles(), by=by)

    def _rename(self, by: str) -> None:
        current_teams().rename(self.get_body_argument("team", ""), *self._titles(), by=by)

    def _put(self, by: str) -> None:
        team, person = self.get_body_argument("team", ""), self.get_body_argument("person", "")
        current_teams().put(team, person, self._kind(), by=by)

    def _remove(self, by: str) -> None:
        current_teams().remove(
            self.get_body_argument("team", ""), self.get_body_argument("person", ""), by=by
        )

    def _titles(self) -> tuple[str, str]:
        return self.get_body_argument("title_ko", ""), self.get_body_argument("title_en", "")


_CHANGES: dict[str, Callable[[TeamsHandler, str], None]] = {
    "make": TeamsHandler._make,
    "rename": TeamsHandler._rename,
    "put": TeamsHandler._put,
    "remove": TeamsHandler._remove,
}
_DONE = frozenset(_CHANGES)


def tell(language: Language, change: Change, titles: Mapping[str, str]) -> str:
    """One change as a sentence, with names as people know them; `titles` by the teams' short names."""
    moment = datetime.fromtimestamp(change.at, SEOUL)
    return text(
        language,
        f"teams.change.{change.what}",
        at=f"{moment:%Y-%m-%d %H:%M}",
        by=text(language, "teams.console") if change.by == CONSOLE else _display(language, change.by),
        person=_display(language, change.subject),
        team=titles.get(change.team, change.team),
    )


def _display(language: Language, name: str) -> str:
    account = current_people().find(name)
    return account.display(language) if account else name
