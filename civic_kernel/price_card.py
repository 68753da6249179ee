"""A price in words, as a card in a notebook and as lines in a terminal, before anything is paid."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from decimal import Decimal

from civic_kernel.affordable import (
    choices,
    months_in_words,
    months_to_pay,
    offered,
    percent,
    tightest,
    when_low,
)
from civic_kernel.lost import lost_of, lost_words
from civic_kernel.texts import Language, speaker, text
from civic_kernel.wire import DatasetDetail, MeasurePrice, PriceBody

#: Measures whose margin is a number of what a cell holds, so that it can be told as a part of one.
_OF_A_SIZE = frozenset({"count"})


@dataclass(frozen=True)
class Price:
    """A price in words: whose budget, what part of what is left, how exact, how many more such."""

    body: PriceBody
    dataset: DatasetDetail = field(repr=False)
    language: Language = field(repr=False, default="ko")

    @property
    def rho(self) -> Decimal:
        """The cost in zCDP's ρ, for those who account in it."""
        return Decimal(self.body.rho).scaleb(-9)

    def lines(self) -> list[tuple[str, str]]:
        """(label, value) in reading order."""
        b = self.body
        say = speaker(self.language, "kernel", "price.")
        if b.stored:
            cost = say("stored")
        elif b.free or b.share_of_left is None:
            cost = say("free")
        else:
            rho = format(self.rho.normalize(), "f")
            cost = say("share", percent=percent(b.share_of_left), team=b.team, rho=rho)
        rows = [(say("cost"), cost), *self._months()]
        if b.waits:
            rows.append((say("waits"), text(self.language, "kernel", f"waiting.who.{b.waits}", team=b.team)))
        if b.left:
            rows.append((say("left"), self._left()))
        if b.more_such is not None and not b.stored:
            rows.append((say("more"), say("more_such", n=f"{b.more_such:,}")))
        rows.extend((say("margin", measure=name), self._margin(m)) for name, m in b.measures.items())
        rows.extend(self._size())
        rows.extend((say("offers"), words) for words in offered(b, self.language))
        if not b.made_up:
            lost = lost_of(self.dataset.unit, self.dataset.row_bound, b.truncated_share)
            rows.extend((say("lost"), words) for words in lost_words(lost, self.language, "lost.card"))
        return rows + when_low(b, self.dataset, self.language)

    def _months(self) -> list[tuple[str, str]]:
        """Which months are still paid for, where some are answered already."""
        b = self.body
        paid = months_to_pay(b)
        if b.stored or len(paid) in (0, len(b.periods)):
            return []
        say = speaker(self.language, "kernel", "price.")
        named, free = months_in_words(paid, self.language), len(b.periods) - len(paid)
        return [(say("to_pay"), say("to_pay_some", free=free, all=len(b.periods), months=named))]

    def _margin(self, measure: MeasurePrice) -> str:
        say = speaker(self.language, "kernel", "price.")
        if self.dataset.is_open:
            return say("exact")
        if measure.margin is not None:
            width = say("plus_minus", margin=f"{measure.margin:,}")
            if self.body.cell is None or measure.fn not in _OF_A_SIZE:
                return width
            part = Decimal(measure.margin) / self.body.cell
            return width + say("part_of_cell", percent=percent(part), cell=f"{self.body.cell:,}")
        if measure.expected is None:
            return say("depends")
        unit = " %p" if measure.fn == "quantiles" else ""
        return say("expected", margin=measure.expected.margin + unit, cell=f"{measure.expected.cell:,}")

    def _size(self) -> list[tuple[str, str]]:
        """Who says that cells are so large, where anything was told for that size."""
        b = self.body
        told = any(m.expected is not None or m.fn in _OF_A_SIZE for m in b.measures.values())
        if b.cell is None or b.cell_from is None or not told:
            return []
        source, _, answer = b.cell_from.partition(":")
        said = text(self.language, "kernel", f"price.cell.{source}", cell=f"{b.cell:,}", answer=answer)
        return [(text(self.language, "kernel", "price.cell"), said)]

    def _left(self) -> str:
        """What the team has left in its tightest period, as a part of its cap where that is known."""
        left, period = tightest(self.body)
        cap = next((t.cap for t in self.dataset.teams if t.team == self.body.team), 0)
        say = speaker(self.language, "kernel", "price.")
        if cap <= 0:
            return say("left_only", period=period)
        share = say("left_share", percent=percent(Decimal(left) / Decimal(cap)), period=period)
        others = len(months_to_pay(self.body) or self.body.left) - 1
        return share + (say("period_join", n=others) if others else "")

    def __str__(self) -> str:
        return "\n".join(f"{label}: {value}" for label, value in self.lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            # width and float undo JupyterLab's own rules for lists, which squeeze the words into a fifth.
            f'<dt style="font-weight:600;float:none;width:auto">{html.escape(label)}</dt>'
            f'<dd style="margin:0;float:none;width:auto">{html.escape(value)}</dd>'
            for label, value in [*self.lines(), *choices(self.body, self.dataset, self.language)]
        )
        # Inline style: a notebook's sanitiser keeps it and drops <style>. No colour, so both themes hold. On a phone
        # the labels take no more than a third, whatever the longest of them is.
        return (
            '<dl style="display:grid;grid-template-columns:fit-content(34%) minmax(0,1fr);gap:.35em 1em;'
            "border:1px solid;border-radius:6px;padding:.6em 1em;max-width:44em;margin:.5em 0;"
            f'word-break:keep-all;overflow-wrap:anywhere">{rows}</dl>'
        )


def show(price: Price) -> None:
    """The card in a notebook, the lines in a terminal."""
    import sys

    # Only where IPython runs already: importing it for a terminal would take half a second.
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        ipython.display.display(price)
    else:
        print(price, file=sys.stderr)
