"""The demonstration's parties: one city and one CSO, each with one steward, and keys that carry a mark.

Their private keys lie in the workspace, which a real party's never do; that is why they open only policies that
say `synthetic`, and approve only releases that say `demonstration`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from data_access.clock import Clock
from data_access.documents import Labels
from data_access.parties import Key, Party, Register, SigningKey
from data_access.parties.register import SIDES, Side

PARTIES = {
    "city": Party(id="demo-city", side="city", title=Labels(ko="시연용 시청", en="Demonstration city")),
    "cso": Party(id="demo-cso", side="cso", title=Labels(ko="시연용 시민단체", en="Demonstration CSO")),
}
#: Workspace user names of the two stewards.
STEWARDS: dict[Side, str] = {"city": "steward-city", "cso": "steward-cso"}
_VALID = timedelta(days=730)


@dataclass(frozen=True)
class DemoKeys:
    """Of each side the steward's key, and the key of the computer that witnesses the chain's heads."""

    city: SigningKey
    cso: SigningKey
    city_witness: SigningKey
    cso_witness: SigningKey

    def of(self, side: Side) -> SigningKey:
        return self.city if side == "city" else self.cso

    def witness_of(self, side: Side) -> SigningKey:
        return self.city_witness if side == "city" else self.cso_witness


def demo_keys(folder: Path) -> DemoKeys:
    """Both sides' keys, made at the first call: `city.demo.pem`, `city.witness.demo.pem` and the CSO's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def key(name: str) -> SigningKey:
        path = folder / f"{name}.demo.pem"
        if not path.exists():
            SigningKey.generate().write(path)
        return SigningKey.read(path)

    return DemoKeys(key("city"), key("cso"), key("city.witness"), key("cso.witness"))


def demo_register(keys: DemoKeys, gateway: SigningKey, clock: Clock, version: int = 1) -> Register:
    """Both stewards' keys, both sides' witness keys and the gateway's own."""
    today = clock.now()
    since, until = today.strftime("%Y-%m-%d"), (today + _VALID).strftime("%Y-%m-%d")

    def key(signing: SigningKey, side: Side | None, *, witness: bool = False) -> Key:
        return Key(
            id=signing.id,
            public=base64.b64encode(signing.public).decode("ascii"),
            party=PARTIES[side].id if side else None,
            # A witness is a machine: it signs each night without anybody.
            person=STEWARDS[side] if side and not witness else None,
            use="witness" if witness else "sign" if side else "gateway",
            demo=True,
            valid_from=since,
            valid_until=until,
        )

    return Register(
        kind="civic-register",
        version=version,
        parties=tuple(PARTIES[side] for side in SIDES),
        keys=(
            *(key(keys.of(side), side) for side in SIDES),
            *(key(keys.witness_of(side), side, witness=True) for side in SIDES),
            key(gateway, None),
        ),
    )
