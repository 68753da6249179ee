"""A small report on real files: its cells use what `notebooks/bike_routes.ipynb` uses, and nothing else.

That notebook itself asks for the made-up city's months. The real sample holds one month of trips, so rates are
those of that month, and per 100 trips.
"""

from __future__ import annotations

import json
from pathlib import Path

import nbformat

CELLS = (
    """
import civic_kernel as civic
from civic_kernel import charts, maps
from civic_kernel.methods import combine, rates
from civic_kernel.places import place_name
from civic_kernel.publish import blocks
from civic_kernel.publish.words import between, number, span

civic.connect().language = language
both = ("ko", "en")
trips, reported = civic.dataset("bike_rides_public"), civic.dataset("accidents")
""",
    """
def ask(question):
    return question.ask({"rho": "0.1"}, quiet=True)


trips_by_hour = ask(trips.by(trips.start_gu, civic.hour(trips.started_at)).agg(trips=civic.count()))
trips_by_month = ask(trips.by(trips.start_gu, trips.month).agg(trips=civic.count()))
accidents_by_hour = ask(reported.by(reported.gu, civic.hour(reported.happened_at)).agg(accidents=civic.count()))
accidents_by_month = ask(reported.by(reported.gu, reported.month).agg(accidents=civic.count()))
""",
    """
# Sums over a year would lack the months that are withheld, so the map is of one month and the line of one gu.
in_month = accidents_by_month[accidents_by_month["month"] == month]
by_gu = combine.complete(civic.total(in_month, "accidents", "gu"), "accidents")
most = by_gu.sort_values("accidents", ascending=False)["gu"].iloc[0]
in_gu = accidents_by_month[accidents_by_month["gu"] == most]
by_month = combine.complete(civic.total(in_gu, "accidents", "month"), "accidents")
rate = rates.accident_rates(
    in_month,
    trips_by_month[trips_by_month["month"] == month],
    by="gu",
    rides_by="start_gu",
    rides_measure="trips",
    per=100,
)
when = {spoken: span([month], spoken) for spoken in both}
blocks.message(
    ko=f"{when['ko']}의 자전거 사고는 {place_name(most, 'ko')}에서 가장 많이 기록되었습니다.",
    en=f"In {when['en']} most bike accidents were recorded in {place_name(most, 'en')}.",
)
""",
    """
title = {"ko": "기록된 자전거 사고", "en": "Recorded bike accidents"}
alt = {
    "ko": "서울의 25개 구를 기록된 자전거 사고 건수에 따라 칠한 지도.",
    "en": "Map of Seoul's 25 districts, shaded by the number of recorded bike accidents.",
}
unsure = {"ko": "범위는 표에 있습니다.", "en": "The ranges stand in the table."}
labels = {
    "gu": {"ko": "구", "en": "District (gu)"},
    "start_gu": {"ko": "출발한 구", "en": "District of start"},
    "month": {"ko": "달", "en": "Month"},
    "hour": {"ko": "시각", "en": "Hour"},
    "trips": {"ko": "기록된 이용", "en": "Recorded trips"},
    "accidents": {"ko": "기록된 사고", "en": "Recorded accidents"},
    "rate": {"ko": "기록된 이용 100번에 사고", "en": "Accidents per 100 recorded trips"},
}
where = blocks.figure(
    lambda spoken: maps.choropleth(
        by_gu, "accidents", "gu", title=title[spoken], alt=alt[spoken], language=spoken
    ),
    name="accidents-by-gu",
    title=title,
    subtitle={"ko": f"구별, {when['ko']}", "en": f"By district, {when['en']}"},
    alt=alt,
    table=by_gu,
    columns={name: labels[name] for name in ("gu", "accidents")},
    uncertainty=unsure,
)
where
""",
    """
def sentence(row):
    if row["withheld"]:
        return {"ko": "너무 적어서 가렸습니다.", "en": "Withheld, since there are too few."}
    many = {spoken: between(row["accidents_low"], row["accidents_high"], spoken) for spoken in both}
    return {
        "ko": f"기록된 사고 약 {number(round(row['accidents']))}건({many['ko']}).",
        "en": f"About {number(round(row['accidents']))} recorded accidents ({many['en']}).",
    }


blocks.my_gu(by_gu, key="gu", sentence=sentence, figure=where)
""",
    """
blocks.figure(
    lambda spoken: charts.dots(
        rate, "rate", "gu", mark="above", title=labels["rate"][spoken], digits=1, language=spoken
    ),
    name="rates",
    title=labels["rate"],
    subtitle={"ko": f"구별, {when['ko']}", "en": f"By district, {when['en']}"},
    alt={
        "ko": "구마다 점 하나와 범위를 나타내는 줄. 같은 값이 표에 있습니다.",
        "en": "One dot for each district with a line for its range. The table has the values.",
    },
    table=rate,
    columns={name: labels[name] for name in ("gu", "rate")},
    sources=[accidents_by_month, trips_by_month],
    uncertainty=unsure,
    digits=1,
)
""",
    """
blocks.figure(
    lambda spoken: charts.line(by_month, "accidents", "month", title=title[spoken], language=spoken),
    name="accidents-by-month",
    title=title,
    subtitle={"ko": f"{place_name(most, 'ko')}, 달별", "en": f"{place_name(most, 'en')}, by month"},
    alt={
        "ko": "달마다 기록된 사고 건수를 이은 선. 같은 값이 표에 있습니다.",
        "en": "A line through the number of recorded accidents in each month. The table has the values.",
    },
    table=by_month,
    columns={name: labels[name] for name in ("month", "accidents")},
    uncertainty=unsure,
)
""",
    *(
        f"""
blocks.figure(
    None,
    name="{answer.replace("_", "-")}-cells",
    title=labels["{measure}"],
    subtitle={{"ko": "칸마다, 2017년", "en": "Cell by cell, 2017"}},
    alt=None,
    table={answer},
    columns={{name: labels[name] for name in ("{gu}", "{time}", "{measure}")}},
    uncertainty=unsure,
)
"""
        for measure, gu in (("trips", "start_gu"), ("accidents", "gu"))
        for time in ("hour", "month")
        for answer in (f"{measure}_by_{time}",)
    ),
)
SCHEMA = {
    "title": "real_routes",
    "version": 1,
    "label": {"ko": "기록된 이용과 사고", "en": "Recorded trips and accidents"},
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "month": {
            "type": "string",
            "enum": ["2017-09"],
            "default": "2017-09",
            "label": {"ko": "달", "en": "Month"},
            "help": {"ko": "견주는 달.", "en": "The month that is compared."},
        },
        "language": {
            "type": "string",
            "enum": ["ko", "en"],
            "default": "ko",
            "label": {"ko": "말", "en": "Language"},
            "help": {"ko": "공책의 말.", "en": "The notebook's language."},
        },
    },
}


def write_notebook(folder: Path) -> Path:
    """The notebook and, beside it, the declaration of its parameters."""
    first = nbformat.v4.new_code_cell(
        'month = "2017-09"\nlanguage = "ko"', metadata={"tags": ["parameters"]}, id="parameters"
    )
    cells = [nbformat.v4.new_code_cell(cell.strip(), id=f"cell-{n}") for n, cell in enumerate(CELLS)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = folder / "real_routes.ipynb"
    path.write_text(
        nbformat.writes(nbformat.v4.new_notebook(cells=[first, *cells], metadata=kernel)), "utf-8"
    )
    path.with_suffix(".schema.json").write_text(json.dumps(SCHEMA, ensure_ascii=False), "utf-8")
    return path
