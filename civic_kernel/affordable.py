"""What else a team could have: other precisions, what is free, what still fits, and who decides on more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from math import ceil, sqrt

from civic_kernel.texts import Language, speaker, text
from civic_kernel.wire import DatasetDetail, PriceBody

#: With fewer than this many such questions left, a price says what still fits and who decides on more.
LOW = 3
#: A cell is worth its price where ten margins fit into it: then it is known to a tenth.
_MARGINS_IN_A_CELL = 10


def is_low(body: PriceBody) -> bool:
    return not body.free and body.more_such is not None and body.more_such < LOW


def months_to_pay(body: PriceBody) -> list[str]:
    """The months that this question is still charged for."""
    if body.to_pay is None:
        return [] if body.free else body.periods
    return body.to_pay


def tightest(body: PriceBody) -> tuple[int, str]:
    """(nano-ρ, month) with the least left, of the months to pay; of all where none is. `body.left` is not empty."""
    return min(
        (body.left[period], period) for period in months_to_pay(body) or body.left if period in body.left
    )


def choices(body: PriceBody, dataset: DatasetDetail, language: Language) -> list[tuple[str, str]]:
    """(precision, what it means here) for each precision of the policy: error, share of what is left, how many.

    The errors follow from the price at hand, since σ goes with 1/√ρ; they are rounded up, and a price for that
    precision says the exact ones.
    """
    if body.free or not body.left:
        return []
    left, _ = tightest(body)
    say = speaker(language, "kernel", "choice.")
    rows = []
    for name, nano in sorted(dataset.precisions.items(), key=lambda each: each[1]):
        times = left // nano
        parts = [
            errors_at(body, nano, language),
            say("share", percent=percent(Decimal(nano) / left)) if times else say("over"),
        ]
        if times:
            parts.append(say("times", n=f"{times:,}"))
        rows.append((text(language, "kernel", f"choice.{name}"), " · ".join(filter(None, parts))))
    return rows


def errors_at(body: PriceBody, nano: int, language: Language) -> str:
    """`rides ±554` of each measure that has one half-width for all cells, if `nano` were spent."""
    return ", ".join(
        text(
            language,
            "kernel",
            "choice.error",
            measure=name,
            margin=f"{ceil(price.margin * sqrt(body.rho / nano)):,}",
        )
        for name, price in body.measures.items()
        if price.margin is not None
    )


def offered(body: PriceBody, language: Language) -> list[str]:
    """What can be added up from answers that are there, free: months and margins, equal ones together."""
    together: defaultdict[tuple[tuple[str, int], ...], list[str]] = defaultdict(list)
    for offer in body.offers:
        together[tuple(offer.margins.items())] += offer.periods
    say = speaker(language, "kernel", "price.")
    found = []
    for margins, periods in together.items():
        errors = ", ".join(
            text(language, "kernel", "choice.error", measure=name, margin=f"{margin:,}")
            for name, margin in margins
        )
        # Free as it stands, where it is as exact as was asked for; else for the asking.
        key = "offers_wider" if set(periods) & set(months_to_pay(body)) else "offers_free"
        found.append(say(key, months=months_in_words(periods, language), errors=errors))
    return found


def when_low(body: PriceBody, dataset: DatasetDetail, language: Language) -> list[tuple[str, str]]:
    """What can still be asked and who decides on more; nothing while there is enough."""
    if not is_low(body) or not body.left:
        return []
    say = speaker(language, "kernel", "low.")
    left, period = tightest(body)
    fitting = [
        f"{text(language, 'kernel', f'choice.{name}')} ({text(language, 'kernel', 'choice.times', n=left // nano)})"
        for name, nano in sorted(dataset.precisions.items(), key=lambda each: each[1])
        if nano <= left
    ]
    fits = ", ".join(fitting) if fitting else say("nothing", period=period)
    rows = [(say("fits"), fits), *_coarser(body, left, language)]
    signers = dict.fromkeys(signer.title.get(language) for signer in dataset.signers if signer.title)
    decide = say("decide_named", who=", ".join(signers)) if signers else say("decide")
    return [*rows, (say("free"), say("free_how")), (say("more"), decide)]


def _coarser(body: PriceBody, left: int, language: Language) -> list[tuple[str, str]]:
    """How large cells must be for the whole rest to know them well: the price is the same for many cells and few."""
    widths = [
        price.margin for price in body.measures.values() if price.margin is not None and price.fn == "count"
    ]
    if left <= 0 or not widths:
        return []
    margin = ceil(max(widths) * sqrt(body.rho / left))
    say = speaker(language, "kernel", "low.")
    cell = _MARGINS_IN_A_CELL * margin
    return [(say("coarser"), say("coarser_how", margin=f"{margin:,}", cell=f"{cell:,}"))]


def months_in_words(periods: Sequence[str], language: Language) -> str:
    """`2026-01, 2026-03`; more than anybody reads are counted between the first and the last."""
    ordered = sorted(periods)
    if len(ordered) <= 3:
        return ", ".join(ordered)
    return text(language, "kernel", "price.months", first=ordered[0], last=ordered[-1], n=len(ordered))


def percent(share: str | Decimal) -> str:
    value = Decimal(share) * 100
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"
