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
    city: SigningKey
    cso: SigningKey

    def of(self, side: Side) -> SigningKey:
        return self.city if side == "city" else self.cso


def demo_keys(folder: Path) -> DemoKeys:
    """The two stewards' keys, made at the first call."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found: dict[str, SigningKey] = {}
    for side in SIDES:
        path = folder / f"{side}.demo.pem"
        if not path.exists():
            SigningKey.generate().write(path)
        found[side] = SigningKey.read(path)
    return DemoKeys(**found)


def demo_register(keys: DemoKeys, gateway: SigningKey, clock: Clock) -> Register:
    """Version 1: both stewards' keys and the gateway's own."""
    today = clock.now()
    since, until = today.strftime("%Y-%m-%d"), (today + _VALID).strftime("%Y-%m-%d")

    def key(signing: SigningKey, side: Side | None) -> Key:
        return Key(
            id=signing.id,
            public=base64.b64encode(signing.public).decode("ascii"),
            party=PARTIES[side].id if side else None,
            person=STEWARDS[side] if side else None,
            use="sign" if side else "gateway",
            demo=True,
            valid_from=since,
            valid_until=until,
        )

    return Register(
        kind="civic-register",
        version=1,
        parties=tuple(PARTIES[side] for side in SIDES),
        keys=(*(key(keys.of(side), side) for side in SIDES), key(gateway, None)),
    )
