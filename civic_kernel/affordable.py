"""What else a team could buy: each precision for the same question, and who decides when little is left."""

from __future__ import annotations

from decimal import Decimal
from math import ceil, sqrt

from civic_kernel.texts import Language, speaker, text
from civic_kernel.wire import DatasetDetail, PriceBody

#: With fewer than this many such questions left, a price says what still fits and who decides on more.
LOW = 3


def is_low(body: PriceBody) -> bool:
    return not body.free and body.more_such is not None and body.more_such < LOW


def choices(body: PriceBody, dataset: DatasetDetail, language: Language) -> list[tuple[str, str]]:
    """(precision, what it means here) for each precision of the policy: error, share of what is left, how many.

    The errors follow from the price at hand, since σ goes with 1/√ρ; they are rounded up, and a price for that
    precision says the exact ones.
    """
    if body.free or not body.left:
        return []
    left = min(body.left.values())
    say = speaker(language, "kernel", "choice.")
    rows = []
    for name, nano in sorted(dataset.precisions.items(), key=lambda each: each[1]):
        errors = ", ".join(
            say("error", measure=measure, margin=f"{ceil(price.margin * sqrt(body.rho / nano)):,}")
            for measure, price in body.measures.items()
            if price.margin is not None
        )
        times = left // nano
        parts = [errors, say("share", percent=percent(Decimal(nano) / left)) if times else say("over")]
        if times:
            parts.append(say("times", n=f"{times:,}"))
        rows.append((text(language, "kernel", f"choice.{name}"), " · ".join(filter(None, parts))))
    return rows


def when_low(body: PriceBody, dataset: DatasetDetail, language: Language) -> list[tuple[str, str]]:
    """What can still be asked and who decides on more; nothing while there is enough."""
    if not is_low(body) or not body.left:
        return []
    say = speaker(language, "kernel", "low.")
    left, period = min((nano, period) for period, nano in body.left.items())
    fitting = [
        f"{text(language, 'kernel', f'choice.{name}')} ({text(language, 'kernel', 'choice.times', n=left // nano)})"
        for name, nano in sorted(dataset.precisions.items(), key=lambda each: each[1])
        if nano <= left
    ]
    fits = ", ".join(fitting) if fitting else say("nothing", period=period)
    signers = dict.fromkeys(signer.title.get(language) for signer in dataset.signers if signer.title)
    decide = say("decide_named", who=", ".join(signers)) if signers else say("decide")
    return [(say("fits"), fits), (say("more"), decide), (say("free"), say("free_how"))]


def percent(share: str | Decimal) -> str:
    value = Decimal(share) * 100
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"
