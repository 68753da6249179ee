"""What dp-accounting says, for test_another_accountant_agrees.py. Run alone, with its folder before all others.

Reads {"delta", "spent": [[ρ, how many equal questions]…], "deployed": [[σ, Δ]…]}; prints ε for each: `zcdp` from ρ,
`loss` from as many Gaussians, `discrete` from one discrete Gaussian.
"""

import json
import sys

import dp_accounting
from dp_accounting.pld import PLDAccountant, privacy_loss_distribution
from dp_accounting.rdp import RdpAccountant


def main() -> None:
    asked = json.load(sys.stdin)
    delta = asked["delta"]
    told: dict[str, list[float]] = {"zcdp": [], "loss": [], "discrete": []}
    for rho, count in asked["spent"]:
        told["zcdp"].append(RdpAccountant().compose(dp_accounting.ZCDpEvent(rho)).get_epsilon(delta))
        # σ/Δ of each of `count` Gaussians that cost ρ together.
        one = dp_accounting.GaussianDpEvent((count / (2 * rho)) ** 0.5)
        many = dp_accounting.SelfComposedDpEvent(one, count)
        told["loss"].append(PLDAccountant().compose(many).get_epsilon(delta))
    for sigma, sensitivity in asked["deployed"]:
        found = privacy_loss_distribution.from_discrete_gaussian_mechanism(sigma, sensitivity=sensitivity)
        told["discrete"].append(found.get_epsilon_for_delta(delta))
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
