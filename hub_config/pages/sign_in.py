"""The sign-in page, the page of a browser that waits for the facilitator, and the way to a provider and back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from jupyterhub.handlers import BaseHandler
from jupyterhub.handlers.login import LoginHandler
from jupyterhub.utils import url_path_join
from oauthenticator.oauth2 import STATE_COOKIE_NAME, OAuthCallbackHandler, OAuthLoginHandler
from tornado import web
from tornado.httputil import url_concat

from hub_config.roles import is_seat
from hub_config.runtime import current_cards, current_settings
from hub_config.signing_in import sessions
from hub_config.signing_in.browser import read_browser
from hub_config.signing_in.oidc import ProviderFailed
from hub_config.texts import text
from hub_config.workshop.cards import number_of

#: An attempt at a provider: long enough for a second factor.
ATTEMPT_DAYS = 1 / 48


class SignInMixin:
    """What the handlers that sign somebody in share. What fails is one sentence in the reader's language, on the
    sign-in page."""

    refusal = "sign_in.refused"
    seat: str | None = None
    subject: str | None = None

    def own_handler(self) -> Any:
        """JupyterHub's handlers have no types."""
        return self

    async def sign_in(self, data: dict[str, str]) -> None:
        handler = self.own_handler()
        limit, address = handler.authenticator.limit, sender(handler.request)
        if not limit.can_try(address):
            await self.refuse(HTTPStatus.TOO_MANY_REQUESTS, "sign_in.too_often")
            return
        before = handler.current_user
        user = await handler.login_user(data)
        if user is not None or self.seat is not None:
            limit.forgive(address)
        if user is None and self.seat is not None:
            handler.redirect(url_concat(url_path_join(handler.hub.base_url, "move"), {"seat": self.seat}))
        elif user is None:
            status = HTTPStatus.FORBIDDEN
            if self.refusal == "sign_in.too_often":
                status = HTTPStatus.TOO_MANY_REQUESTS
            await self.refuse(status, self.refusal)
        else:
            if before is not None and before.name != user.name:
                # A shared laptop: whoever sits down must not find the seat of who got up still open.
                await sessions.sign_out_here(handler, before.name)
            handler._jupyterhub_user = user
            handler.redirect(self.place_after(user))

    def place_after(self, user: Any) -> str:
        """A participant's place is her notebook; everybody else's is the page with what there is to do."""
        handler = self.own_handler()
        base = handler.hub.base_url
        if is_seat(user.name) and handler.get_argument("next", "") in ("", "/", base, base.rstrip("/")):
            return str(url_path_join(base, "spawn"))
        return str(handler.get_next_url(user))

    async def refuse(self, status: int, key: str) -> None:
        handler = self.own_handler()
        handler.set_status(status)
        told = text(handler.language, key)
        handler.finish(await self.page(login_error=told, refusal=key, subject=self.subject))

    def page(self, **more: Any) -> Any:
        """The sign-in page, to be awaited."""
        handler = self.own_handler()
        provider = handler.authenticator.provider
        more = {"refusal": "", "subject": None, "signed_in": None, **more}
        return LoginHandler._render(
            handler,
            address=current_settings().address,
            provider=provider.name if provider else None,
            provider_link=url_concat(
                url_path_join(handler.hub.base_url, "oidc_login"), {"next": handler.get_argument("next", "")}
            ),
            **more,
        )


def sender(request: Any) -> str:
    """The address that a request came from, as the last machine of ours saw it: our proxy, or the server with TLS in
    front of it where there is one on this machine. Not `remote_ip`, which believes an X-Real-Ip header, nor what
    stands further left: anyone may send that, and would have as many buckets as she likes."""
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    if (
        current_settings().public_url
        and len(hops) > 1
        and hops[-1] in ("127.0.0.1", "::1", "::ffff:127.0.0.1")
    ):
        return str(hops[-2])
    return str(hops[-1] or request.remote_ip or "")


class SignInHandler(SignInMixin, LoginHandler):  # type: ignore[misc]
    """`/hub/login`."""

    async def get(self) -> None:
        user = self.current_user
        if user is None:
            self._fresh_form()
            self.finish(await self.page())
        elif self.get_argument("next", ""):
            self.set_login_cookie(user)
            self.redirect(self.place_after(user))
        else:
            # A second card is shown in a browser where somebody is in: only the page's script can see it.
            self.finish(await self.page(signed_in=user))

    def _fresh_form(self) -> None:
        """As JupyterHub does: an hour from now, whenever the page was first opened."""
        from jupyterhub._xsrf_utils import _set_xsrf_cookie

        token = self.xsrf_token
        if self.request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate":
            _set_xsrf_cookie(self, self._xsrf_token_id, cookie_path=self.hub.base_url, xsrf_token=token)

    async def post(self) -> None:
        given = {name: self.get_body_argument(name, default="", strip=False) for name in self._wanted()}
        await self.sign_in(given)

    def _wanted(self) -> tuple[str, ...]:
        if "claim" in self.request.body_arguments:
            return ("claim",)
        # Not `username`, which JupyterHub writes into its log: people type passwords there.
        return ("name", "password") if "password" in self.request.body_arguments else ("code",)

    def check_xsrf_cookie(self) -> None:
        try:
            super().check_xsrf_cookie()
        except web.HTTPError as refusal:
            # JupyterHub's own sentence is English, and this happens to honest people: an old tab, no cookies.
            raise web.HTTPError(refusal.status_code, text(self.language, "sign_in.expired_form")) from None


class MoveHandler(BaseHandler):  # type: ignore[misc]
    """`/hub/move?seat=…`: a browser with a right card waits for the facilitator. Shows nothing to a browser that did
    not show the card. With `state` it is one word for the page's script."""

    async def get(self) -> None:
        seat, browser = self.get_query_argument("seat", ""), read_browser(self)
        cards = current_cards()
        standing = cards.standing(seat, browser) if browser else None
        if browser and standing == "waiting" and cards.can_stay(seat):
            # It goes on being shown to the facilitator while the page is open; and who was in may have left.
            standing = cards.enter(seat, browser)
        if "state" in self.request.query_arguments:
            self.set_header("Content-Type", "text/plain")
            self.finish(standing or "out")
            return
        if not browser or standing is None:
            self.redirect(url_path_join(self.hub.base_url, "login"))
            return
        self.finish(
            await self.render_template(
                "move.html",
                seat=seat,
                standing=standing,
                number=number_of(browser),
                xsrf=self.xsrf_token.decode("ascii"),
                here=self.request.uri,
            )
        )


class ProviderLoginHandler(OAuthLoginHandler):  # type: ignore[misc]
    """`/hub/oidc_login`: to the provider."""

    async def get(self) -> None:
        try:
            self._requests = await super().authenticator.provider.requests()
        except ProviderFailed as fault:
            self.log.warning("the provider of sign-in failed: %s", fault.what)
            raise web.HTTPError(HTTPStatus.SERVICE_UNAVAILABLE) from None
        super().get()

    @property
    def authenticator(self) -> Any:
        """What oauthenticator reads addresses from."""
        return getattr(self, "_requests", None) or super().authenticator

    def _get_next_url(self) -> str:
        return str(self._validate_next_url(self.get_argument("next", "")))

    def set_state_cookie(self, state_cookie_value: str) -> None:
        # Under /hub/ only: with the default path every seat's server would be sent it.
        self._set_cookie(
            STATE_COOKIE_NAME,
            state_cookie_value,
            expires_days=ATTEMPT_DAYS,
            path=self.hub.base_url,
            samesite="Lax",
        )


class ProviderCallbackHandler(SignInMixin, OAuthCallbackHandler):  # type: ignore[misc]
    """`/hub/oidc_callback`: back from it."""

    _state_cookie: str | None = None

    def get_state_cookie(self) -> str:
        if self._state_cookie is None:
            kept = self.get_secure_cookie(STATE_COOKIE_NAME, max_age_days=ATTEMPT_DAYS) or b""
            self._state_cookie = kept.decode("utf-8", "replace")
            self.clear_cookie(STATE_COOKIE_NAME, path=self.hub.base_url)
        return self._state_cookie

    async def get(self) -> None:
        try:
            self.check_arguments()
        except web.HTTPError:
            # Its sentences are English and one of them is the provider's own, as anybody may write it in a link.
            await self.refuse(HTTPStatus.BAD_REQUEST, "sign_in.provider_failed")
            return
        await self.sign_in({"provider": "yes"})
