"""Signing in through a provider (OpenID Connect): oauthenticator makes the requests, and the answer is read here.

Of all that a provider says about somebody only `sub` counts, together with the issuer's address: a name or an e-mail
address may be given to another person, and groups would let a login change a membership. A subject that no
administrator has linked to a person signs nobody in (`hub_config.signing_in.accounts`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oauthenticator.generic import GenericOAuthenticator
from tornado.httpclient import HTTPClientError
from tornado.web import HTTPError

from hub_config.settings import Settings

CALLBACK = "oidc_callback"


class ProviderFailed(Exception):
    """It is not there, or its answer is none that the standard knows. `what` is a word for the log: nothing of the
    provider's own, which may hold a token."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class _Requests(GenericOAuthenticator):  # type: ignore[misc]
    """oauthenticator's requests, without its words: it writes what a provider answers into the log."""

    async def fetch(self, req: Any, label: str = "", parse_json: bool = True, **kwargs: Any) -> Any:
        answer = await self.http_client.fetch(req, **kwargs)
        return json.loads(answer.body) if parse_json else answer


class Provider:
    """The provider of the settings; its addresses are asked of it (OpenID Connect Discovery 1.0) at the first use."""

    def __init__(self, settings: Settings, base_url: str) -> None:
        self.issuer = settings.oidc_issuer
        self.name = settings.oidc_name
        self._secret_file = Path(settings.oidc_secret_file)
        self._callback = f"{settings.address}{base_url}{CALLBACK}"
        self._client = settings.oidc_client
        self._known: _Requests | None = None

    async def requests(self) -> _Requests:
        """Whoever makes the requests to this provider. Raises ProviderFailed."""
        if self._known is None:
            made = _Requests(
                client_id=self._client,
                client_secret=self._read_secret(),
                scope=["openid"],
                oauth_callback_url=self._callback,
                enable_pkce=True,
                validate_server_cert=True,  # its default is a variable of the environment
                http_request_kwargs={"connect_timeout": 5, "request_timeout": 10, "follow_redirects": False},
            )
            told = await self._ask(made.httpfetch(f"{self.issuer}/.well-known/openid-configuration"))
            # Section 4.3: or a document of somebody else's provider could stand here.
            if str(told.get("issuer", "")).rstrip("/") != self.issuer:
                raise ProviderFailed("another issuer")
            for field in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint"):
                self._check_address(told.get(field))
            made.authorize_url = told["authorization_endpoint"]
            made.token_url = told["token_endpoint"]
            made.userdata_url = told["userinfo_endpoint"]
            ways = told.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
            made.basic_auth = "client_secret_basic" in ways
            self._known = made
        return self._known

    async def subject(self, handler: Any) -> str:
        """Whom the provider names in its answer to this browser (`handler` is the callback's, its state checked).
        Raises ProviderFailed."""
        requests = await self.requests()
        try:
            sent = requests.build_access_tokens_request_params(handler)
        except HTTPError:
            raise ProviderFailed("no attempt") from None
        token = await self._ask(requests.get_token_info(handler, sent))
        if str(token.get("token_type", "")).lower() != "bearer":
            raise ProviderFailed("token type")
        told = await self._ask(requests.token_to_user(token))
        subject = told.get("sub")
        if not isinstance(subject, str) or not subject:
            raise ProviderFailed("no subject")
        return subject

    @staticmethod
    async def _ask(request: Any) -> dict[str, Any]:
        """Without the fault's own words and without its chain: a traceback in the log would hold codes and tokens."""
        try:
            answer = await request
        except HTTPClientError as fault:
            raise ProviderFailed(f"status {fault.code}") from None
        except Exception as fault:
            raise ProviderFailed(type(fault).__name__) from None
        if not isinstance(answer, dict):
            raise ProviderFailed("no object")
        return answer

    def _read_secret(self) -> str:
        try:
            return self._secret_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise ProviderFailed("secret file") from None

    def _check_address(self, value: object) -> None:
        """An https provider's addresses are https."""
        if not isinstance(value, str) or not value.startswith(self.issuer.split("://")[0] + "://"):
            raise ProviderFailed("address")
