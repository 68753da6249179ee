"""The public side of the gateway as publishing needs it. No token goes along unless one is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from civic_kernel.errors import BadAnswer, GatewayUnreachable, error_from_envelope
from civic_kernel.publish.pages import Sources
from civic_kernel.settings import Token
from civic_kernel.texts import Language


class PublicGateway:
    """Policies, parties and releases at `url`. Raises GatewayUnreachable, BadAnswer or a refusal.

    Not `civic_kernel.client.Client`, which is somebody who asks: the site builder has no token, no team and
    no purpose, and reads the public app alone.
    """

    def __init__(self, url: str, token: Token | None = None, language: Language = "ko") -> None:
        self._url, self._token = url.rstrip("/"), token
        self._language: Language = language

    def sources(self) -> Sources:
        policies, parties = self._call("GET", "/v1/policies"), self._call("GET", "/v1/parties")
        if not isinstance(policies, list) or not isinstance(parties, dict):
            raise BadAnswer.say(self._language)
        return Sources(policies, parties)

    def public_name(self) -> str:
        """The name under which the token's owner stands in public records: a pseudonym, or a service's name."""
        body = self._call("GET", "/v1/me")
        if not isinstance(body, dict) or not isinstance(body.get("public_name"), str):
            raise BadAnswer.say(self._language)
        return str(body["public_name"])

    def submit(self, record: Mapping[str, Any]) -> str:
        """Hand in a release record; its id."""
        body = self._call("POST", "/v1/releases", {"record": record})
        if not isinstance(body, dict) or not isinstance(body.get("release_id"), str):
            raise BadAnswer.say(self._language)
        return str(body["release_id"])

    def releases(self) -> list[dict[str, Any]]:
        """All releases with record and approvals, in whatever state; the site builder judges them."""
        listed = self._call("GET", "/v1/releases")
        lines = listed.get("releases") if isinstance(listed, dict) else listed
        if not isinstance(lines, list):
            raise BadAnswer.say(self._language)
        return [self._call("GET", f"/v1/releases/{line['release_id']}") for line in lines]

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        import httpx

        headers: dict[str, str] = {"Accept-Language": self._language}
        if self._token:
            headers["Authorization"] = f"token {self._token.reveal()}"
        try:
            # trust_env=False: a proxy from the environment would be handed the token.
            with httpx.Client(timeout=30, trust_env=False) as http:
                response = http.request(method, self._url + path, json=body, headers=headers)
            document = response.json()
        except httpx.HTTPError:
            raise GatewayUnreachable.say(self._language) from None
        except ValueError:
            raise BadAnswer.say(self._language) from None
        if response.status_code in (200, 201):
            return document
        raise error_from_envelope(document) or BadAnswer.say(self._language)
