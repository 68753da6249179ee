"""Prices and precision in words for whoever does not know what a half-width is."""

from __future__ import annotations

from decimal import Decimal

from civic_kernel.affordable import is_low, months_to_pay, offered, percent, tightest, when_low
from civic_kernel.lab.forms.chosen import Chosen
from civic_kernel.lost import lost_of, lost_words
from civic_kernel.publish.words import between, number
from civic_kernel.texts import Language, speaker, text
from civic_kernel.wire import DatasetDetail, MeasurePrice, PriceBody

Lines = list[tuple[str, str]]


def price_lines(body: PriceBody, detail: DatasetDetail, chosen: Chosen, language: Language) -> Lines:
    """(label, sentence) in reading order: what it costs, how exact it would be, who decides, what is left out."""
    say = speaker(language, "forms", "price.")
    rows: Lines = [(say("cost"), _cost(body, detail, language))]
    if body.waits:
        rows.append((say("waits"), text(language, "kernel", f"waiting.who.{body.waits}", team=body.team)))
    rows.append((say("precision"), precision_words(body, detail, chosen.name, language)))
    if body.cells is not None and not body.made_up:
        rows.append((say("size"), say("cells", n=f"{body.cells:,}")))
    rows += [(say("offers"), words) for words in offered(body, language)]
    if not body.made_up:
        lost = lost_of(detail.unit, detail.row_bound, body.truncated_share)
        rows += [(say("lost"), words) for words in lost_words(lost, language, "lost.card")]
    return rows + (when_low(body, detail, language) if is_low(body) else [])


def _cost(body: PriceBody, detail: DatasetDetail, language: Language) -> str:
    say = speaker(language, "forms", "price.")
    if body.made_up:
        return say("made_up")
    if detail.is_open:
        return say("open")
    if body.stored:
        return say("stored")
    if body.free or body.share_of_left is None:
        return say("free")
    words = say("share", percent=percent(body.share_of_left), team=body.team)
    paid = months_to_pay(body)
    if body.left:
        words += " " + say("tightest", month=tightest(body)[1]) if len(paid) > 1 else ""
    if body.more_such is not None:
        words += " " + say("more", n=f"{body.more_such:,}")
    return words


def precision_words(body: PriceBody, detail: DatasetDetail, name: str, language: Language) -> str:
    """How far the truth may be from a figure, on an example of the size that cells have here."""
    say = speaker(language, "forms", "price.")
    if detail.is_open:
        return say("exact")
    measure = body.measures[name]
    if measure.margin is not None:
        return _around(measure, measure.margin, body.cell, language)
    if measure.expected is None:
        return say("depends")
    if measure.fn == "quantiles":
        return say("rank", margin=measure.expected.margin, cell=f"{measure.expected.cell:,}")
    if measure.fn == "share":
        part = percent(Decimal(measure.expected.margin))
        return say("part", margin=part, cell=f"{measure.expected.cell:,}")
    return say("mean", margin=measure.expected.margin, cell=f"{measure.expected.cell:,}")


def _around(measure: MeasurePrice, margin: int, cell: int | None, language: Language) -> str:
    say = speaker(language, "forms", "price.")
    # Of a count, an example says more than a half-width; a sum has no known size.
    if cell is None or measure.fn != "count" or cell <= margin:
        return say("within", margin=number(margin))
    return say("example", cell=number(cell), range=between(cell - margin, cell + margin, language))


def precision_options(detail: DatasetDetail, now: str, language: Language) -> list[dict[str, object]]:
    """The policy's named precisions, from the cheapest; `now` is the chosen one, the policy's own where it is empty."""
    default = next((n for n, nano in detail.precisions.items() if nano == detail.default_spend), "")
    names = sorted(detail.precisions, key=lambda name: detail.precisions[name])
    chosen = now if now in names else default
    return [
        {
            "value": name,
            "words": text(language, "kernel", f"choice.{name}"),
            "chosen": name == chosen,
            "cost": detail.precisions[name] // max(min(detail.precisions.values()), 1),
        }
        for name in names
    ]
