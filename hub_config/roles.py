"""Who may do what: scopes and roles as data, each with its description; JupyterHub's tables are rendered from
it.

A person's rights come from her groups alone: `role-<role>` carries scopes, `team-<slug>` carries none and
says whose budget pays. Nothing is granted to a person directly, so this file plus the membership table is the
whole answer to "who may approve?".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hub_config.errors import PersonRefused

GATEWAY = "data"
REPORTS = "reports"
SITE = "site"
CULLER = "culler"
MONITOR = "monitor"
ROOMS_GROUP = "rooms"
#: The rooms' accounts. All stand ready when the Hub starts, since JupyterHub gives a group its role only then.
SLOTS = tuple(f"room-{number:02d}" for number in range(1, 41))

ASK = "custom:civic:ask"
READ = "custom:civic:read"
FACILITATE = "custom:civic:facilitate"
RELEASE = "custom:civic:release"
APPROVE_CITY = "custom:civic:approve:city"
APPROVE_CSO = "custom:civic:approve:cso"
LOAD_CITY = "custom:civic:load:city"
LOAD_CSO = "custom:civic:load:cso"
AUDIT = "custom:civic:audit"
USE_GATEWAY = f"access:services!service={GATEWAY}"
USE_REPORTS = f"access:services!service={REPORTS}"


@dataclass(frozen=True)
class Scope:
    """A right that the gateway demands; whoever holds it also holds its `subscopes`."""

    ko: str
    en: str
    subscopes: tuple[str, ...] = ()


SCOPES: dict[str, Scope] = {
    READ: Scope(
        "어떤 데이터가 있는지, 우리 팀의 답은 무엇인지 본다",
        "See what data exist, and the team's answers",
    ),
    ASK: Scope(
        "질문하고 팀의 예산으로 낸다",
        "Ask questions and pay from the team's budget",
        (READ,),
    ),
    FACILITATE: Scope(
        "자리마다의 한도를 정하고, 한도를 넘는 질문을 승인한다",
        "Set what each seat may spend, and decide on questions beyond it",
    ),
    RELEASE: Scope("보고서를 승인에 올린다", "Hand in a report for approval"),
    APPROVE_CITY: Scope("도시를 대표해 승인한다", "Approve for the city"),
    APPROVE_CSO: Scope("시민사회를 대표해 승인한다", "Approve for civil society"),
    LOAD_CITY: Scope(
        "도시를 대표해 데이터를 싣고 품질을 본다",
        "Load data and see their quality for the city",
    ),
    LOAD_CSO: Scope(
        "시민사회를 대표해 데이터를 싣고 품질을 본다",
        "Load data and see their quality for civil society",
    ),
    AUDIT: Scope("감사 기록을 읽는다", "Read the audit trail"),
}


@dataclass(frozen=True)
class Role:
    """What a kind of person may do; `scopes` are names of SCOPES. Access to the gateway comes with each, and to the
    reports service with the right to ask."""

    ko: str
    en: str
    scopes: tuple[str, ...]


ROLES: dict[str, Role] = {
    "participant": Role("워크숍 참가자", "Takes part in a workshop", (ASK,)),
    "analyst": Role("시민사회 분석가", "Analyses for a civil-society organisation", (ASK, RELEASE)),
    "expert": Role(
        "전문가: 공책을 쓰고 보고서를 낸다",
        "Writes notebooks and reports",
        (ASK, RELEASE),
    ),
    "facilitator": Role("진행자: 워크숍을 이끈다", "Leads a workshop", (ASK, FACILITATE)),
    "city_steward": Role(
        "도시 데이터 관리인",
        "Data steward of the city",
        (READ, APPROVE_CITY, LOAD_CITY, AUDIT),
    ),
    "cso_steward": Role(
        "시민사회 데이터 관리인",
        "Data steward of civil society",
        (READ, APPROVE_CSO, LOAD_CSO, AUDIT),
    ),
    "department_officer": Role(
        "담당 부서 공무원: 보고서에 답한다", "Answers reports for a department", (READ,)
    ),
    "auditor": Role("감사인", "Checks ledger and trail", (READ, AUDIT)),
}

#: Rights of one side and the other; a person with one of each could open and publish alone.
CITY_SIDE, CSO_SIDE = {APPROVE_CITY, LOAD_CITY}, {APPROVE_CSO, LOAD_CSO}

_unknown = {name for role in ROLES.values() for name in role.scopes} | {
    name for scope in SCOPES.values() for name in scope.subscopes
}
if not _unknown <= SCOPES.keys():
    raise ValueError(f"no such scope: {sorted(_unknown - SCOPES.keys())}")


def scopes_of(roles: Iterable[str]) -> set[str]:
    """All custom scopes that these roles give together, subscopes included. KeyError for an unknown role."""
    held = {name for role in roles for name in ROLES[role].scopes}
    return held | {sub for name in held for sub in SCOPES[name].subscopes}


def check_roles(person: str, roles: Iterable[str]) -> None:
    """Raises PersonRefused for an unknown role, and for one person with rights of both stewards."""
    roles = list(roles)
    if not set(roles) <= ROLES.keys():
        raise PersonRefused(name=person, reason="role_unknown")
    held = scopes_of(roles)
    if held & CITY_SIDE and held & CSO_SIDE:
        raise PersonRefused(name=person, reason="both_stewards")


def role_group(role: str) -> str:
    """The Hub group that carries a role; hyphens, as in every other name of the Hub."""
    return f"role-{role.replace('_', '-')}"


def team_group(slug: str) -> str:
    """The Hub group of a team."""
    return f"team-{slug}"


def slot_group(room: str) -> str:
    """The Hub group whose members may enter a room's account: `room-07` has `slot-07`."""
    return f"slot-{room.removeprefix('room-')}"


def room_of_group(slug: str) -> str:
    """The Hub group that says whose room an account is. Not the team's own group, whose members may enter its
    rooms and decide on its budget."""
    return f"room-of-{slug}"


def server_token_scopes() -> list[str]:
    """What the token inside a seat may do, if its owner may.

    The first two are JupyterHub's own `server` role, which a list given here replaces: without the first the
    server cannot report activity, without the second nobody can open it. Approving, loading and leading a
    workshop are absent on purpose: a notebook that someone else wrote runs with this token.
    """
    return ["users:activity!user", "access:servers!server", USE_GATEWAY, USE_REPORTS, ASK]


def render_custom_scopes() -> dict[str, dict[str, object]]:
    """For `c.JupyterHub.custom_scopes`."""
    return {
        name: {
            "description": f"{scope.ko} / {scope.en}",
            "subscopes": list(scope.subscopes),
        }
        if scope.subscopes
        else {"description": f"{scope.ko} / {scope.en}"}
        for name, scope in SCOPES.items()
    }


def render_roles() -> list[dict[str, object]]:
    """For `c.JupyterHub.load_roles`.

    A member enters the room's server with `access:servers`; starting it from a page needs `servers` (the REST
    interface alone would be content with `start:servers`). Filters name one account each, so a team's member
    reaches no other server. The room itself may ask, and everything that it would pay for waits for a member's
    word (data_access/flows/gate.py): its token belongs to nobody in particular.
    """
    rendered: list[dict[str, object]] = [
        {
            "name": role_group(name),
            "description": f"{role.ko} / {role.en}",
            "scopes": [USE_GATEWAY, *([USE_REPORTS] if ASK in role.scopes else []), *role.scopes],
            "groups": [role_group(name)],
        }
        for name, role in ROLES.items()
    ]
    rendered.append(
        {
            "name": "room-account",
            "description": "팀의 방 / A team's room",
            "scopes": [USE_GATEWAY, USE_REPORTS, ASK],
            "groups": [ROOMS_GROUP],
        }
    )
    for room in SLOTS:
        rendered.append(
            {
                "name": f"{room}-member",
                "description": "팀의 방에 들어간다 / Enter the team's room",
                "scopes": [
                    f"access:servers!user={room}",
                    f"servers!user={room}",
                    f"read:users:name!user={room}",
                ],
                "groups": [slot_group(room)],
            }
        )
    rendered += [
        {
            "name": "gateway",
            "description": "묻는 사람의 이름과 팀을 확인한다 / Learn who asks, and in which teams",
            "scopes": [
                "list:users",
                "read:users:groups",
                "list:services",
                "read:services",
            ],
            "services": [GATEWAY],
        },
        {
            "name": "report-runs",
            "description": "보고서를 돌린다 / Run reports",
            "scopes": [USE_GATEWAY, ASK, RELEASE],
            "services": [REPORTS],
        },
        {
            "name": "culler",
            "description": "쓰지 않는 자리를 닫는다 / Close seats that nobody uses",
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
            "services": [CULLER],
        },
        {
            "name": "monitoring",
            "description": "운영 수치를 읽는다 / Read figures of operation",
            "scopes": ["read:metrics", USE_GATEWAY],
            "services": [MONITOR],
        },
    ]
    return rendered


_NAME = re.compile(r"[a-z](?:[a-z0-9]|-(?=[a-z0-9])){1,30}")
_RESERVED = re.compile(
    r"(?:room|slot|seat|team|role|civic|service|person)-.*"
    r"|rooms|root|admin|hub|data|reports|site|culler|monitor|api|user|nobody"
)


def check_slug(name: str) -> None:
    """Raises PersonRefused unless `name` is 2 to 31 of a-z, 0-9 and single hyphens, beginning with a letter:
    it becomes a folder's name and part of URLs."""
    if not _NAME.fullmatch(name):
        raise PersonRefused(name=name[:40], reason="name_malformed")


def check_person_name(name: str) -> None:
    """As `check_slug`; refuses also what a room, a seat or a service could be called."""
    check_slug(name)
    if _RESERVED.fullmatch(name):
        raise PersonRefused(name=name, reason="name_reserved")


def is_seat(name: str) -> bool:
    """Whether a person is a workshop's seat; the prefix is reserved for them. A seat is entered with its card alone:
    a link or a password would know nothing of the workshop's end."""
    return name.startswith("seat-")
