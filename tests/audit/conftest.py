"""A workspace whose register names the gateway and a witness of each side, before and after some questions."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from data_access.canonical import canonical_bytes
from data_access.clock import timestamp
from data_access.parties import Key, Register, Signature, SigningKey
from tests.factories import (
    ANN,
    BEN,
    BY_GU,
    PERIODS,
    Workspace,
    copy_workspace,
    make_policy,
    make_register,
    make_workspace,
)


@dataclass
class Watched:
    workspace: Workspace
    city: SigningKey
    cso: SigningKey

    def head(self) -> tuple[int, str]:
        from data_access.audit.chain import head

        with self.workspace.parts.database.reading() as connection:
            found = head(connection)
        return found.seq, found.hash

    def statement(self, **changes: object) -> dict[str, object]:
        seq, hashed = self.head()
        at = timestamp(self.workspace.clock.now())
        return {"kind": "civic-witness", "seq": seq, "hash": hashed, "at": at, **changes}

    def witness(self, key: SigningKey, statement: dict[str, object] | None = None) -> dict[str, object]:
        """Hand in the head (or `statement`) signed by `key`."""
        said = self.statement() if statement is None else statement
        return self.workspace.parts.witnessing.add(said, sign(key, said))


def sign(key: SigningKey, statement: dict[str, object]) -> Signature:
    return key.sign_bytes(canonical_bytes(statement))


def register_key(key: SigningKey, use: str, party: str | None, valid_until: str = "2030-12-31") -> Key:
    document = {
        "id": key.id,
        "public": base64.b64encode(key.public).decode("ascii"),
        "party": party,
        "person": None,
        "use": use,
        "demo": False,
        "valid_from": "2026-01-01",
        "valid_until": valid_until,
    }
    return Key.model_validate(document, strict=False)


def make_watched(home: Path) -> Watched:
    workspace = make_workspace(home, governed=False)
    city, cso = SigningKey.generate(), SigningKey.generate()
    plain = make_register(workspace.keys, workspace.demo_keys)
    extra = (
        register_key(workspace.parts.key, "gateway", None),
        register_key(city, "witness", "city"),
        register_key(cso, "witness", "cso"),
    )
    workspace.accept(
        Register.model_validate(
            {
                **plain.document(),
                "keys": [*plain.document()["keys"], *(key.model_dump(mode="json") for key in extra)],
            },
            strict=False,
        )
    )
    workspace.activate(make_policy(workspace.entry()))
    workspace.load_rides()
    return Watched(workspace, city, cso)


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    made = make_watched(tmp_path_factory.mktemp("watched") / "home")
    made.workspace.parts.close()
    return made


@pytest.fixture
def watched(_template: Watched, tmp_path: Path) -> Iterator[Watched]:
    copied = copy_workspace(_template.workspace, tmp_path / "home")
    made = Watched(copied, _template.city, _template.cso)
    yield made
    made.workspace.parts.close()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Two witnesses of event 4, then three paid questions and a free one."""
    made = make_watched(tmp_path_factory.mktemp("asked") / "home")
    statement = made.statement()
    made.witness(made.city, statement)
    made.witness(made.cso, statement)
    made.workspace.ask()
    made.workspace.ask()
    september = {**BY_GU, "where": {"column": "month", "op": "eq", "value": PERIODS[1]}}
    made.workspace.ask(ANN, september)
    made.workspace.ask(BEN, {**BY_GU, "by": ["sex"]}, team="walk")
    yield made
    made.workspace.parts.close()
