"""Who somebody is: one authenticator of ours for cards, links, passwords and a provider.

A card opens a seat (`workshop.cards`), a link a person (`members.people`); both are secrets that stand after `#`
in an address, which a browser never sends: they are in no log, no proxy and no Referer. Standing accounts have a
password or an identity at a provider (`accounts`, `oidc` beside this). Names come from the workspace's
tables alone. No way of signing in makes one, so no two of them can produce one name, and none changes a membership.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from jupyterhub import orm
from jupyterhub.auth import Authenticator
from sqlalchemy.orm import object_session

from hub_config.members.people import SECRET_LENGTH, normalize_secret
from hub_config.roles import is_seat
from hub_config.runtime import current_accounts, current_cards, current_people, current_settings
from hub_config.signing_in.browser import make_browser, read_browser
from hub_config.signing_in.oidc import Provider, ProviderFailed
from hub_config.signing_in.sign_in_limit import SignInLimit
from hub_config.workshop.cards import CardRefused, looks_like_code

#: Passwords hashed at once; each takes a core for 0.1 s and 64 MiB.
HASHING = 2


class SeatAuthenticator(Authenticator):  # type: ignore[misc]
    """Groups of the Hub are a copy of the workspace's tables, made new whenever the Hub starts or looks at a person;
    nothing that a person does at sign-in can change it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.limit = SignInLimit()
        self.hashing = asyncio.Semaphore(HASHING)
        self.provider: Provider | None = None

    def get_handlers(self, app: Any) -> list[tuple[str, type]]:
        from hub_config.pages import sign_in

        handlers: list[tuple[str, type]] = [
            (r"/login", sign_in.SignInHandler),
            (r"/move", sign_in.MoveHandler),
        ]
        if current_settings().oidc_issuer:
            self.provider = Provider(current_settings(), app.hub_prefix)
            handlers += [
                (r"/oidc_login", sign_in.ProviderLoginHandler),
                (r"/oidc_callback", sign_in.ProviderCallbackHandler),
            ]
        return handlers

    def add_user(self, user: Any) -> None:
        """JupyterHub calls this for every account it knows before it listens: what a person lost while the
        Hub was down is gone before anyone can use it."""
        super().add_user(user)
        if not isinstance(user, orm.User):
            return  # a first sign-in: her groups follow at once, from `authenticate`
        account = current_people().find(user.name)
        session: Any = object_session(user)
        user.groups = [
            orm.Group.find(session, name) or orm.Group(name=name)
            for name in (account.groups if account else [])
        ]
        session.commit()

    # ------------------------------------------------------------------------------------------ who it is

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any] | None:
        """`data` is one of {"code"}, {"name", "password"}, {"claim"} (a seat's name) and {"provider"}. Where it is
        refused, `handler.refusal` is the key of the sentence; where a card's browser has to wait, `handler.seat` is
        the seat."""
        if "provider" in data:
            name = await self._by_provider(handler)
        elif "claim" in data:
            name = self._by_claim(handler, data["claim"])
        elif "password" in data:
            name = await self._by_password(handler, data["name"], data["password"])
        else:
            name = self._by_code(handler, data.get("code", ""))
        return None if name is None else self._model(name)

    def _by_code(self, handler: Any, typed: str) -> str | None:
        """A link's secret, a card's token or its code: they differ in length and letters."""
        if len(normalize_secret(typed)) == SECRET_LENGTH and "." not in typed:
            handler.refusal = "sign_in.refused"
            name = current_people().person_for_secret(typed)
            return None if name is None or is_seat(name) else name
        try:
            seat = current_cards().seat_for(typed)
        except CardRefused as refused:
            # Typed with the Korean keyboard on: the commonest mistake at a laptop, and it looks like a bad card.
            hangul = any("ㄱ" <= letter <= "힣" for letter in typed) and not looks_like_code(typed)
            handler.refusal = "sign_in.hangul" if hangul else f"sign_in.card_{refused.reason}"
            return None
        if current_cards().enter(seat, make_browser(handler)) == "waiting":
            handler.seat = seat
            return None
        return seat

    def _by_claim(self, handler: Any, seat: str) -> str | None:
        handler.refusal = "sign_in.card_again"
        return seat if current_cards().claim(seat, make_browser(handler)) else None

    async def _by_password(self, handler: Any, name: str, password: str) -> str | None:
        handler.refusal = "sign_in.password_refused"
        name = name.strip().lower()
        if not self.limit.can_try_password(name[:40]):
            handler.refusal = "sign_in.too_often"
            return None
        async with self.hashing:
            good = await asyncio.to_thread(current_accounts().has_password, name, password)
        return name if good else None

    async def _by_provider(self, handler: Any) -> str | None:
        handler.refusal = "sign_in.provider_failed"
        if self.provider is None:
            return None
        try:
            subject = await self.provider.subject(handler)
        except ProviderFailed as fault:
            self.log.warning("the provider of sign-in failed: %s", fault.what)
            return None
        name = current_accounts().person_for(self.provider.issuer, subject)
        if name is None:
            # Told to the person whom it names, who needs it to be linked by an administrator.
            handler.refusal, handler.subject = "sign_in.provider_unknown", subject
        return name

    def _model(self, name: str) -> dict[str, Any]:
        account = current_people().account(name)
        return {
            "name": name,
            "admin": False,
            # What the others in a team's room see beside her cursor.
            "user_info": {
                "name": name,
                "display_name": account.display(account.language),
            },
            "groups": account.groups,
        }

    # ------------------------------------------------------------------------------------ may she stay

    def can_stay(self, name: str) -> bool:
        """Whether some way in which she could sign in is still good: nobody stays longer than she could come."""
        return (
            current_cards().can_stay(name)
            if is_seat(name)
            else current_people().can_stay(name) or current_accounts().can_stay(name)
        )

    async def refresh_user(self, user: Any, handler: Any = None) -> bool | dict[str, Any]:
        """Ends the session of a person who could no longer sign in, or whose password has been changed since; else
        copies her groups anew."""
        account = current_people().find(user.name)
        if account is None:
            return False
        if account.is_room:
            return {"name": user.name, "groups": account.groups}
        if not self.can_stay(user.name) or not _may_this_browser(user.name, handler):
            return False
        return self._model(user.name)


def _may_this_browser(name: str, handler: Any) -> bool:
    """For a request with the Hub's cookie: whether it was given since the password was set, and of a seat, whether
    this is the browser that is in. Requests with a token are none of a browser."""
    asking = getattr(handler, "_jupyterhub_user", None)
    if asking is None or asking.name != name:
        return True  # a facilitator starts a seat: the browser is hers
    cookie = handler.hub.cookie_name
    if not handler.get_cookie(cookie):
        return True
    if is_seat(name):
        browser = read_browser(handler)
        return browser is not None and current_cards().standing(name, browser) == "in"
    set_at = current_accounts().password_set_at(name)
    # The cookie's own time is read by nothing but this argument.
    age = (time.time() - set_at) / 86_400
    return not set_at or handler.get_secure_cookie(cookie, max_age_days=age) is not None
