"""One conversation over HTTP with a service of the workspace, as one person.

What is sent twice must be safe to send twice: a question and a run carry a key, so a lost connection, a proxy that is
restarting and an answer that another process is just computing are all simply asked again for a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from civic_kernel import wire
from civic_kernel.errors import (
    AnswerInProgress,
    BadAnswer,
    CivicError,
    GatewayUnreachable,
    NotSignedIn,
    SettingInvalid,
    error_from_envelope,
)
from civic_kernel.settings import Token
from civic_kernel.texts import Language

if TYPE_CHECKING:
    import ssl

    import httpx

#: Seconds. An answer leaves at a deadline fixed by the policy's size class, which may be a minute.
CONNECT_SECONDS, READ_SECONDS = 5.0, 180.0
RETRY_SECONDS = 20.0


class Caller:
    """Calls one service. `http` is for tests and for a run whose only way out is a socket: any `httpx.Client`, whose
    base URL and headers are then its owner's affair. Raises SettingInvalid or NotSignedIn where there is nothing to
    call, or nobody to call as.
    """

    def __init__(
        self,
        base_url: str,
        token: str | Token,
        language: Language = "ko",
        http: httpx.Client | None = None,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self.language = language
        self._token = token if isinstance(token, Token) else Token(token)
        self._retry_seconds = retry_seconds
        if http is None:
            if not base_url:
                raise SettingInvalid.say(language, setting="CIVIC_GATEWAY_URL")
            if not self._token:
                raise NotSignedIn.say(language)
            http = open_http(base_url)
        self._http = http

    def close(self) -> None:
        self._http.close()

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, accept: str = "application/json"
    ) -> Any:
        import tenacity

        again = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((GatewayUnreachable, AnswerInProgress)),
            stop=tenacity.stop_after_delay(self._retry_seconds),
            wait=tenacity.wait_exponential(multiplier=0.1, max=2.0),
            reraise=True,
        )
        return again(self._call_once, method, path, body, accept)

    def _call_once(self, method: str, path: str, body: dict[str, Any] | None, accept: str) -> Any:
        response = self._request(method, path, body, accept)
        try:
            is_arrow = response.headers.get("content-type", "").startswith(wire.ARROW)
            document = wire.document_from_arrow(response.content) if is_arrow else response.json()
        except ValueError:
            document = None
        if response.status_code in (200, 201, 202):
            if document is None:
                raise BadAnswer.say(self.language)
            return document
        raise self._failure(response.status_code, document)

    def _request(self, method: str, path: str, body: dict[str, Any] | None, accept: str) -> httpx.Response:
        import httpx

        headers = {
            "Authorization": f"token {self._token.reveal()}",
            "Accept-Language": self.language,
            "Accept": accept,
        }
        # `from None` here and above: httpx keeps the request, and with it the token, on its exceptions.
        try:
            return self._http.request(method, path, json=body, headers=headers)
        except httpx.TransportError:
            raise GatewayUnreachable.say(self.language) from None

    def _failure(self, status: int, document: Any) -> CivicError:
        """The service's own failure, or what a proxy or Hub that spoke in its place must mean."""
        named = error_from_envelope(document)
        if named is not None:
            return named
        if status in (401, 403):
            return NotSignedIn.say(self.language)
        if status in (502, 503, 504):
            return GatewayUnreachable.say(self.language)
        return BadAnswer.say(self.language)


def open_http(base_url: str, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """May be shared by threads. trust_env=False: a proxy from the environment would be handed the token."""
    import httpx

    return httpx.Client(
        base_url=base_url,
        transport=transport,
        verify=base_url.lower().startswith("https:") or _trusting_nobody(),
        timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        trust_env=False,
    )


def socket_transport(path: str) -> httpx.BaseTransport:
    """To a service behind the socket `path`, whatever address is named."""
    import httpx

    return httpx.HTTPTransport(uds=path, verify=_trusting_nobody())


def _trusting_nobody() -> ssl.SSLContext:
    """For where there is no TLS: to read the certificates of all authorities takes 25 ms, which each kernel and run
    would wait for. With this one a connection by TLS fails, which it would not were it not verified."""
    import ssl

    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def segment(name: str) -> str:
    """`name` as one part of a path."""
    from urllib.parse import quote

    return quote(name, safe="")
