"""What the gateway's pages have in common: the visitor, the language, the frame, and how a refusal looks."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from sqlalchemy import Connection

from data_access.canonical import random_id
from data_access.compose import Parts
from data_access.errors import CivicError, MalformedRequest, NotSignedIn
from data_access.gateway.failures import envelope
from data_access.gateway.identity import FACILITATE, Caller
from data_access.gateway.look import headers, render
from data_access.gateway.sign_in import ATTEMPT_SECONDS, Session, SignIn, SignInRefused
from data_access.privacy.budget import Rho
from data_access.texts import LANGUAGES, Language, preferred_language, text

#: Whoever answers for the data of everybody sees what everybody asked.
SEES_ALL = frozenset(
    f"custom:civic:{right}" for right in ("audit", "approve:city", "approve:cso", "load:city", "load:cso")
)
#: States that somebody's own word has just brought about.
_SAID = ("approved", "refused", "used")
LANGUAGE_COOKIE = "civic_lang"


class FormRefused(Exception):
    """A form that was not written by this session's own page."""


@dataclass(frozen=True)
class Visitor:
    caller: Caller
    session: Session
    language: Language

    @property
    def sees_all(self) -> bool:
        return not self.caller.scopes.isdisjoint(SEES_ALL)

    @property
    def leads(self) -> bool:
        return FACILITATE in self.caller.scopes


def language_of(request: Request) -> Language:
    """What she chose on a page, else what her browser asks for."""
    for chosen in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        for language in LANGUAGES:
            if chosen == language:
                return language
    return preferred_language(request.headers.get("accept-language"))


@dataclass(frozen=True)
class Shown:
    """What all pages have in common."""

    parts: Parts
    prefix: str

    def page(self, request: Request, who: Visitor, template: str, /, **facts: Any) -> Response:
        facts |= {"who": who, "sees_all": who.sees_all, "teams": sorted(who.caller.asker.teams)}
        return self._answer(request, template, 200, **facts)

    def failure(self, request: Request, status: int, message: str, remedy: str, number: str = "") -> Response:
        return self._answer(
            request, "failure.html.j2", status, who=None, message=message, remedy=remedy, number=number
        )

    def approvals(
        self,
        request: Request,
        who: Visitor,
        *,
        done: str = "",
        allowed: str = "",
        trial: Mapping[str, Any] | None = None,
    ) -> Response:
        held = self.parts.approving.list(who.caller.asker)
        found = self.parts.allowing.list(who.caller.asker)
        allowances = [{**one, "rho_text": str(Rho(one["rho"]))} for one in found]
        waiting = [one for one in held if one["state"] == "waiting"]
        return self.page(
            request,
            who,
            "approvals.html.j2",
            mine=[one for one in waiting if one["can_decide"]],
            others=[one for one in waiting if not one["can_decide"]],
            past=[one for one in held if one["state"] != "waiting"],
            allowances=allowances,
            datasets=self._offered(who.language) if who.leads else [],
            said=next((one for one in held if one["approval_id"] == done and one["state"] in _SAID), None),
            allowed=next((one for one in allowances if one["allowance_id"] == allowed), None),
            trial=trial,
        )

    def title(self, labels: Any, language: Language) -> str:
        return str(labels.ko if language == "ko" else labels.en)

    def _offered(self, language: Language) -> list[tuple[str, str]]:
        """Datasets that have a budget to give out."""
        with self.parts.database.reading() as connection:
            return [
                (entry.id, self.title(entry.title, language))
                for entry in self.parts.governing.catalog.values()
                if self._is_private(connection, entry.id)
            ]

    def _is_private(self, connection: Connection, dataset: str) -> bool:
        try:
            self.parts.governing.in_force(connection, dataset)
        except CivicError:
            return False
        return True

    def _answer(self, request: Request, template: str, status: int, /, **facts: Any) -> Response:
        language = language_of(request)
        kept = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
        other = "en" if language == "ko" else "ko"
        html = render(
            template,
            language,
            prefix=self.prefix,
            hub=f"{self.parts.settings.hub_base}hub",
            isolated=self.parts.settings.isolated,
            other=other,
            # Only what was fetched can be fetched again in the other language.
            other_link=f"{request.url.path}?{urlencode([*kept, ('lang', other)])}"
            if request.method == "GET"
            else None,
            **facts,
        )
        answer = HTMLResponse(html, status, headers())
        if request.query_params.get("lang") == language:
            set_cookie(answer, request, LANGUAGE_COOKIE, language, self.prefix, 365 * 86_400)
        return answer


def safely(shown: Shown, sign_in: SignIn) -> type[APIRoute]:
    """A route whose refusals are pages, and which leads whoever is not signed in to the Hub."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def safe(request: Request) -> Response:
                try:
                    return await handle(request)
                except NotSignedIn as refusal:
                    if request.method != "GET":
                        return _refused(shown, request, refusal)
                    query = f"?{request.url.query}" if request.url.query else ""
                    attempt = sign_in.begin(request.url.path + query)
                    answer = RedirectResponse(attempt.address, 303, headers())
                    set_cookie(answer, request, attempt.cookie, attempt.value, shown.prefix, ATTEMPT_SECONDS)
                    return answer
                except CivicError as refusal:
                    return _refused(shown, request, refusal)
                except RequestValidationError:
                    return _refused(shown, request, MalformedRequest(where="form"))
                except (FormRefused, SignInRefused) as refusal:
                    key = "form" if isinstance(refusal, FormRefused) else "sign_in"
                    spoken = language_of(request)
                    message = text(spoken, "gateway", f"refused.{key}")
                    return shown.failure(request, 403, message, text(spoken, "gateway", "refused.remedy"))

            return safe

    return PageRoute


def _refused(shown: Shown, request: Request, refusal: CivicError) -> Response:
    told = envelope(refusal, language_of(request), random_id("req"))
    return shown.failure(request, refusal.status, told["message"], told["remedy"], told["request_id"])


def set_cookie(answer: Response, request: Request, name: str, value: str, path: str, seconds: int) -> None:
    # The first proxy in front says how the browser came; whoever lies about it keeps her own cookie from herself.
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme).split(",")[0].strip()
    answer.set_cookie(
        name, value, max_age=seconds, path=path, secure=scheme == "https", httponly=True, samesite="lax"
    )
