"""A report's parameters are declared, typed and checked before anything is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from civic_kernel.errors import NotPublishable, ParameterInvalid, ParameterUnknown
from civic_kernel.places import place_name
from civic_kernel.reports.parameters import check_parameters, read_assignments, read_schema
from civic_kernel.reports.runner import Request, run_report
from civic_kernel.settings import Settings, Token
from civic_kernel.texts import LANGUAGES

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "bike_routes.ipynb"
NOWHERE = Settings("http://127.0.0.1:9", "site", "safety", "en", Token("unused"))


def test_defaults_fill_what_is_not_given() -> None:
    values = check_parameters(read_schema(NOTEBOOK), {"gu": "강남구"})
    assert values["gu"] == "강남구" and values["language"] == "ko" and len(values["months"]) == 12


def test_a_list_is_comma_separated_on_the_command_line() -> None:
    values = read_assignments(read_schema(NOTEBOOK), ["months=2026-08,2026-09", "language=en"])
    assert values["months"] == ["2026-08", "2026-09"]


@pytest.mark.parametrize(
    ("given", "error", "named"),
    [
        ({"guu": "강남구"}, ParameterUnknown, "guu"),
        ({"gu": "뉴욕구"}, ParameterInvalid, "gu"),
        ({"gu": "../../etc/passwd"}, ParameterInvalid, "gu"),
        ({"gu": 3}, ParameterInvalid, "gu"),
        ({"months": "2026-09"}, ParameterInvalid, "months"),
        ({"months": []}, ParameterInvalid, "months"),
        ({"months": ["2026-09", "2026-09"]}, ParameterInvalid, "months"),
        ({"months": ["1999-01"]}, ParameterInvalid, "months"),
        ({"language": "fr"}, ParameterInvalid, "language"),
    ],
)
def test_a_wrong_parameter_is_named_and_starts_nothing(
    given: dict[str, object], error: type[Exception], named: str, tmp_path: Path
) -> None:
    started: list[object] = []
    with pytest.raises(error, match=named):
        run_report(Request(NOTEBOOK, given), tmp_path / "run", NOWHERE, progress=lambda *a: started.append(a))
    assert not started and list(tmp_path.iterdir()) == []


def test_a_value_from_outside_is_not_repeated() -> None:
    with pytest.raises(ParameterInvalid) as caught:
        read_assignments(read_schema(NOTEBOOK), ["gu=secret-value"], "en")
    assert "secret-value" not in str(caught.value)


def test_a_schema_that_lets_unknown_names_through_is_refused(tmp_path: Path) -> None:
    notebook = tmp_path / "open.ipynb"
    document = json.loads(NOTEBOOK.with_suffix(".schema.json").read_text("utf-8"))
    document["additionalProperties"] = True
    notebook.with_suffix(".schema.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(NotPublishable):
        read_schema(notebook)


def test_every_label_and_value_has_both_languages() -> None:
    for rule in read_schema(NOTEBOOK).document["properties"].values():
        words = [rule["label"], rule["help"], *rule["values"].values()]
        assert all(part[language] for part in words for language in LANGUAGES)
        listed = rule.get("items", rule)["enum"]
        assert set(listed) == set(rule["values"])


def test_the_schema_names_gu_as_the_pages_do() -> None:
    values = read_schema(NOTEBOOK).document["properties"]["gu"]["values"]
    for gu, words in values.items():
        if gu != "all":
            assert words == {language: place_name(gu, language) for language in LANGUAGES}
