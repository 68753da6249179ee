"""A report's form says what its schema says, and nothing that the schema forbids gets through it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from civic_kernel.errors import ParameterInvalid
from civic_kernel.lab.forms.fields import (
    make_fields,
    places_of,
    read_each,
    read_fields,
    to_fields,
    wrong_fields,
)
from civic_kernel.reports.parameters import check_parameters, make_schema
from tests.forms.standin import NOTEBOOKS


def label(word: str) -> dict[str, str]:
    return {"ko": word, "en": word}


EVERYTHING = make_schema({
    "title": "everything", "version": 1, "label": label("모두"), "type": "object", "additionalProperties": False,
    "required": ["gu", "far"],
    "properties": {
        "gu": {"type": "string", "enum": ["all", "마포구", "중구"], "default": "all", "label": label("구"),
               "values": {"마포구": {"ko": "마포구", "en": "Mapo-gu"}}},
        "years": {"type": "array", "items": {"type": "integer", "enum": [2024, 2025]}, "minItems": 1,
                  "default": [2025], "label": label("해")},
        "far": {"type": "number", "minimum": 0.5, "maximum": 5, "default": 1, "label": label("거리"),
                "unit": label("km"), "help": label("얼마나")},
        "least": {"type": "integer", "default": 3, "label": label("적어도")},
        "roads": {"type": "boolean", "default": True, "label": label("길도")},
        "note": {"type": "string", "pattern": "^[a-z]*$", "default": "", "label": label("글")},
        "language": {"type": "string", "enum": ["ko", "en"], "default": "ko", "label": label("말")},
    },
})  # fmt: skip


def sent(fields: list[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in fields:
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize(
    "given",
    [
        {"gu": "중구", "years": [2024, 2025], "far": 2.5, "least": 0, "roads": False, "note": "a", "language": "en"},
        {"gu": "all", "years": [2025], "far": 1, "least": 3, "roads": True, "note": "", "language": "ko"},
    ],
)  # fmt: skip
def test_what_a_form_sends_is_what_it_was_filled_with(given: dict[str, Any]) -> None:
    assert (
        check_parameters(EVERYTHING, read_fields(EVERYTHING, sent(to_fields(EVERYTHING, given, {})))) == given
    )


def test_each_kind_of_parameter_has_its_field_with_label_unit_and_bounds() -> None:
    forms = {field.name: field for field in make_fields(EVERYTHING, {}, "en")}
    assert {name: field.form for name, field in forms.items()} == {
        "gu": "list", "years": "boxes", "far": "number", "least": "number", "roads": "yes", "note": "text",
        "language": "list",
    }  # fmt: skip
    assert (forms["far"].unit, forms["far"].low, forms["far"].high) == ("km", 0.5, 5)
    assert [option.words for option in forms["gu"].options] == ["all", "Mapo-gu", "중구"]
    assert [option.value for option in forms["language"].options if option.chosen] == ["en"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("gu", ["../../etc"]),
        ("years", []),
        ("years", ["2030"]),
        ("far", ["9"]),
        ("far", ["NaN"]),
        ("least", ["1.5"]),
        ("note", ["<script>"]),
    ],
)
def test_a_value_outside_the_schema_is_pointed_at_and_goes_no_further(name: str, values: list[str]) -> None:
    filled = sent(to_fields(EVERYTHING, {"gu": "all", "years": [2025], "far": 1}, {})) | {f"p.{name}": values}
    given = read_fields(EVERYTHING, filled)
    assert wrong_fields(EVERYTHING, given) == {name}
    assert [
        field.name for field in make_fields(EVERYTHING, given, "ko", frozenset({name})) if field.wrong
    ] == [name]
    with pytest.raises(ParameterInvalid):
        check_parameters(EVERYTHING, given)


def test_one_report_for_each_place_is_offered_where_a_parameter_names_places_and_nowhere_else() -> None:
    assert places_of(EVERYTHING, "gu") == ["마포구", "중구"]
    assert read_each(EVERYTHING, {"each": ["gu"]}) == {"gu": ["마포구", "중구"]}
    for other in ("years", "note", "nothing", ""):
        assert read_each(EVERYTHING, {"each": [other]}) == {}


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.schema.json")), ids=lambda path: path.name)
@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_report_of_ours_has_a_form_whose_every_word_is_written(path: Any, language: Any) -> None:
    schema = make_schema(json.loads(path.read_text("utf-8")))
    fields = make_fields(schema, {}, language)
    assert wrong_fields(schema, {}) == frozenset()
    for field in fields:
        assert field.label != field.name and field.help
        assert field.form in ("list", "boxes")
        if language == "en" and field.name != "language":
            assert all(option.words.isascii() for option in field.options), field.name
    assert [field.each for field in fields if field.name == "gu"] in ([], [25])
