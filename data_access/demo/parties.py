"""The demonstration's parties: a city, a CSO, and a charity that owns data of its own; each with one steward, and keys
that carry a mark. The charity stands on civil society's side; what it owns opens with its signature and not the CSO's.

Their private keys lie in the workspace, which a real party's never do; that is why they open only policies that
say `synthetic`, and approve only releases that say `demonstration`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from data_access.clock import Clock
from data_access.documents import Labels
from data_access.parties import Key, Party, Register, SigningKey
from data_access.parties.register import SIDES, Side

PARTIES = {
    "city": Party(id="demo-city", side="city", title=Labels(ko="시연용 시청", en="Demonstration city")),
    "cso": Party(id="demo-cso", side="cso", title=Labels(ko="시연용 시민단체", en="Demonstration CSO")),
}
CHARITY = Party(id="demo-charity", side="cso", title=Labels(ko="시연용 나눔재단", en="Demonstration charity"))
#: Workspace user names of the two sides' stewards, and of the charity's.
STEWARDS: dict[Side, str] = {"city": "steward-city", "cso": "steward-cso"}
CHARITY_STEWARD = "steward-charity"
_VALID = timedelta(days=730)


@dataclass(frozen=True)
class DemoKeys:
    """Of each side the steward's key, and the key of the computer that witnesses the chain's heads; and the charity's,
    whose side's computer does that for it.
    """

    city: SigningKey
    cso: SigningKey
    city_witness: SigningKey
    cso_witness: SigningKey
    charity: SigningKey

    def of(self, side: Side) -> SigningKey:
        return self.city if side == "city" else self.cso

    def of_party(self, party: str) -> SigningKey:
        """The signing key of a party's steward, by the party's id. Raises KeyError."""
        held = {PARTIES["city"].id: self.city, PARTIES["cso"].id: self.cso, CHARITY.id: self.charity}
        return held[party]

    def witness_of(self, side: Side) -> SigningKey:
        return self.city_witness if side == "city" else self.cso_witness


def demo_keys(folder: Path) -> DemoKeys:
    """All keys, made at the first call: `city.demo.pem`, `city.witness.demo.pem`, the CSO's and the charity's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def key(name: str) -> SigningKey:
        path = folder / f"{name}.demo.pem"
        if not path.exists():
            SigningKey.generate().write(path)
        return SigningKey.read(path)

    return DemoKeys(key("city"), key("cso"), key("city.witness"), key("cso.witness"), key("charity"))


def demo_register(keys: DemoKeys, gateway: SigningKey, clock: Clock, version: int = 1) -> Register:
    """The stewards' keys, both sides' witness keys and the gateway's own."""
    today = clock.now()
    since, until = today.strftime("%Y-%m-%d"), (today + _VALID).strftime("%Y-%m-%d")

    def key(
        signing: SigningKey,
        party: Party | None,
        use: Literal["sign", "gateway", "witness"],
        person: str | None,
    ) -> Key:
        return Key(
            id=signing.id,
            public=base64.b64encode(signing.public).decode("ascii"),
            party=party.id if party else None,
            person=person,
            use=use,
            demo=True,
            valid_from=since,
            valid_until=until,
        )

    return Register(
        kind="civic-register",
        version=version,
        parties=(*(PARTIES[side] for side in SIDES), CHARITY),
        keys=(
            *(key(keys.of(side), PARTIES[side], "sign", STEWARDS[side]) for side in SIDES),
            key(keys.charity, CHARITY, "sign", CHARITY_STEWARD),
            # A witness is a machine: it signs each night without anybody.
            *(key(keys.witness_of(side), PARTIES[side], "witness", None) for side in SIDES),
            key(gateway, None, "gateway", None),
        ),
    )
