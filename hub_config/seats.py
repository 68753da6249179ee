"""Signing in with a link: one authenticator of ours, and the page behind it.

A link is `http://HOST/hub/login#k=SECRET`. The secret stands after `#`, which a browser never sends: it is in
no log, no proxy and no Referer. The page's script moves it into the form's field and takes it out of the
address bar, and the person presses one button, so that a mail scanner which merely fetches the link does not
sign in. Without script she types the code. A link works again and again until it expires or is revoked:
a participant who comes back after lunch must not need another one.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from jupyterhub import orm
from jupyterhub.auth import Authenticator
from jupyterhub.handlers.login import LoginHandler
from sqlalchemy.orm import object_session
from tornado import web

from hub_config.runtime import current_people
from hub_config.texts import text

#: Tries at once, and tries a second afterwards. 130 random bits cannot be guessed, so this is about load and
#: noise: generous enough for a workshop of 30 behind one address who all mistype.
PER_ADDRESS = (60.0, 0.5)
OVERALL = (600.0, 20.0)
MAX_ADDRESSES = 10_000


class TokenBucket:
    """Allows `burst` takes at once and `rate` a second afterwards. `now` is a monotonic clock in seconds."""

    def __init__(self, burst: float, rate: float, now: Callable[[], float]) -> None:
        self._burst, self._rate, self._now = burst, rate, now
        self._left, self._at = burst, now()

    def take(self) -> bool:
        now = self._now()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class SignInLimit:
    """A bucket for each address and one for all. Addresses beyond MAX_ADDRESSES push out the oldest, so that
    a flood from many addresses fills no memory; the overall bucket then still holds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._overall = TokenBucket(*OVERALL, now)
        self._addresses: OrderedDict[str, TokenBucket] = OrderedDict()

    def can_try(self, address: str) -> bool:
        """Counts one try; False means: refuse without looking."""
        bucket = self._addresses.pop(address, None) or TokenBucket(*PER_ADDRESS, self._now)
        self._addresses[address] = bucket
        while len(self._addresses) > MAX_ADDRESSES:
            self._addresses.popitem(last=False)
        # The address first: one noisy address must not empty the bucket of all the others.
        return bucket.take() and self._overall.take()


class SeatLoginHandler(LoginHandler):  # type: ignore[misc]
    """The sign-in page; what fails is one sentence in the reader's language, on the same page."""

    async def post(self) -> None:
        code = self.get_body_argument("code", default="")
        if not self.authenticator.limit.can_try(self._address()):
            await self._refuse(429, "sign_in.too_often")
            return
        user = await self.login_user({"code": code})
        if user is None:
            await self._refuse(403, "sign_in.refused")
            return
        self._jupyterhub_user = user
        self.redirect(self.get_next_url(user))

    async def _refuse(self, status: int, key: str) -> None:
        self.set_status(status)
        self.finish(await self._render(login_error=text(self.language, key)))

    def check_xsrf_cookie(self) -> None:
        try:
            super().check_xsrf_cookie()
        except web.HTTPError as refusal:
            # JupyterHub's own sentence is English, and this happens to honest people: an old tab, no cookies.
            raise web.HTTPError(refusal.status_code, text(self.language, "sign_in.expired_form")) from None

    def _address(self) -> str:
        """The last hop that our own proxy saw. Not `remote_ip`: that believes an X-Real-Ip header, which
        anyone may send, and would give everyone as many buckets as she likes."""
        forwarded = self.request.headers.get("X-Forwarded-For", "")
        return forwarded.split(",")[-1].strip() or self.request.remote_ip or ""


class SeatAuthenticator(Authenticator):  # type: ignore[misc]
    """Turns a link's secret into a person. Groups of the Hub are a copy of the workspace's tables, made new
    whenever the Hub starts or looks at a person; nothing that a person does at sign-in can change it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.limit = SignInLimit()

    def get_handlers(self, app: object) -> list[tuple[str, type]]:
        return [(r"/login", SeatLoginHandler)]

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

    async def authenticate(self, handler: object, data: dict[str, str]) -> dict[str, Any] | None:
        name = current_people().person_for_secret(data.get("code", ""))
        return None if name is None else self._model(name)

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

    async def refresh_user(self, user: Any, handler: object = None) -> bool | dict[str, Any]:
        """Ends the session of a person whose links are all expired or revoked; else copies her groups
        anew."""
        account = current_people().find(user.name)
        if account is None:
            return False
        if account.is_room:
            return {"name": user.name, "groups": account.groups}
        return self._model(user.name) if current_people().can_stay(user.name) else False
