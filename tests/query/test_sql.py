"""SQL as a way of writing plans: these tables are the language, and nothing outside them is asked or run."""

from __future__ import annotations

import json
import logging
import re
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civic_kernel.sql_text import sql_of
from data_access.errors import CivicError, Phrase, SqlRefused
from data_access.gateway.failures import envelope
from data_access.query import bind, decode_plan
from data_access.query.sql import decode_sql
from data_access.query.sql_form import MAX_CHARACTERS, Why
from data_access.texts import LANGUAGES, _catalog
from tests.query.strategies import SCHEMA, documents

ONE = "SELECT count(*) AS n FROM rides"

#: what follows WHERE | the same in JSON
CONDITIONS = """
sex = 'F'                             | {"column": "sex", "op": "eq", "value": "F"}
'F' = sex                             | {"column": "sex", "op": "eq", "value": "F"}
sex <> 'F'                            | {"column": "sex", "op": "ne", "value": "F"}
sex != 'F'                            | {"column": "sex", "op": "ne", "value": "F"}
gu = 'o''구'                          | {"column": "gu", "op": "eq", "value": "o'구"}
"gu" = '중구'                         | {"column": "gu", "op": "eq", "value": "중구"}
GU = '중구'                           | {"column": "gu", "op": "eq", "value": "중구"}
month IN ('2026-01', '2026-02')       | {"column": "month", "op": "in", "values": ["2026-01", "2026-02"]}
month NOT IN ('2026-01')              | {"not": {"column": "month", "op": "in", "values": ["2026-01"]}}
month BETWEEN '2026-01' AND '2026-02' | {"column": "month", "op": "between", "values": ["2026-01", "2026-02"]}
hour(at) >= 18                        | {"column": {"fn": "hour", "column": "at"}, "op": "ge", "value": 18}
18 <= hour(at)                        | {"column": {"fn": "hour", "column": "at"}, "op": "ge", "value": 18}
hour(at) < 7                          | {"column": {"fn": "hour", "column": "at"}, "op": "lt", "value": 7}
7 < hour(at)                          | {"column": {"fn": "hour", "column": "at"}, "op": "gt", "value": 7}
weekday(at) <= 4                      | {"column": {"fn": "weekday", "column": "at"}, "op": "le", "value": 4}
at >= DATE '2026-01-05'               | {"column": "at", "op": "ge", "value": "2026-01-05"}
at < CAST('2026-01-05' AS DATE)       | {"column": "at", "op": "lt", "value": "2026-01-05"}
at < '2026-01-05'                     | {"column": "at", "op": "lt", "value": "2026-01-05"}
minutes IS NULL                       | {"column": "minutes", "op": "null"}
minutes IS NOT NULL                   | {"column": "minutes", "op": "not_null"}
season(month) = 'winter'              | {"column": {"fn": "season", "column": "month"}, "op": "eq", "value": "winter"}
band(minutes) <> '0..0'               | {"column": {"fn": "band", "column": "minutes"}, "op": "ne", "value": "0..0"}
NOT (sex = 'F')                       | {"not": {"column": "sex", "op": "eq", "value": "F"}}
"""
#: the whole SELECT | keys | measures
SELECTS = """
SELECT count(*) FROM rides                                                  | []               | count: count
SELECT count(DISTINCT person) FROM rides                                    | []               | persons: persons
select gu, COUNT(*) n, count(distinct Person) AS who from rides group by gu | ["gu"]           | n: count, who: persons
SELECT hour(at), count(*) n FROM rides GROUP BY hour(at)                    | ["hour"]         | n: count
SELECT weekday(at) AS weekday, count(*) n FROM rides GROUP BY weekday(at)   | ["weekday"]      | n: count
SELECT month, gu, count(*) n FROM rides GROUP BY gu, month -- by both       | ["month", "gu"]  | n: count
SELECT count(*) AS n FROM rides;                                            | []               | n: count
FROM rides SELECT count(*) AS n                                             | []               | n: count
"""
#: text | the reason's name; `…` stands for a question that would be good without what is beside it
REFUSED = """
                                                                | one_statement
;                                                               | one_statement
SELECT count(*) FROM rides; SELECT count(*) FROM rides          | one_statement
SELECT count(*) FROM rides; DROP TABLE rides                    | one_statement
SELEC count(*) FROM rides                                       | unreadable
SELECT count(* FROM rides                                       | unreadable
SELECT 'x FROM rides                                            | unreadable
SELECT `gu` FROM rides                                          | unreadable
COPY rides TO '/tmp/x'                                          | only_select
ATTACH 'x.duckdb' AS x (ENCRYPTION_KEY 'k')                     | only_select
DETACH x                                                        | only_select
PRAGMA database_list                                            | only_select
SET memory_limit = '1GB'                                        | only_select
INSTALL httpfs                                                  | only_select
LOAD httpfs                                                     | only_select
EXPLAIN SELECT count(*) FROM rides                              | only_select
SHOW TABLES                                                     | only_select
DESCRIBE rides                                                  | only_select
CREATE TABLE x AS SELECT count(*) FROM rides                    | only_select
INSERT INTO rides VALUES (1)                                    | only_select
UPDATE rides SET sex = 'F'                                      | only_select
DELETE FROM rides                                               | only_select
CALL pragma_version()                                           | only_select
VALUES (1)                                                      | only_select
(SELECT count(*) FROM rides)                                    | only_select
SELECT /*+ PARALLEL(8) */ count(*) FROM rides                   | hint
SELECT * FROM rides                                             | star
FROM rides                                                      | star
SELECT rides.* FROM rides                                       | qualified
SELECT COLUMNS('g.*'), count(*) FROM rides                      | function
SELECT count(*) FROM 'secret.parquet'                           | name
SELECT count(*) FROM read_csv('/etc/passwd')                    | function
SELECT count(*) FROM read_parquet('x')                          | function
SELECT count(*) FROM glob('/*')                                 | function
SELECT count(*) FROM sniff_csv('/etc/passwd')                   | function
SELECT getenv('HOME'), count(*) FROM rides                      | function
SELECT count(*) FROM query('SELECT 1')                          | function
SELECT count(*) FROM main.rides                                 | schema
SELECT count(*) FROM information_schema.tables                  | schema
SELECT count(*) FROM a.b.rides                                  | schema
SELECT count(*) FROM rides AS r                                 | table_alias
SELECT rides.gu, count(*) FROM rides GROUP BY rides.gu          | qualified
SELECT count(*)                                                 | from
SELECT count(*) FROM (SELECT 1)                                 | subquery
SELECT count(*) FROM rides, rides                               | join
SELECT count(*) FROM rides JOIN other USING (gu)                | join
SELECT count(*) FROM rides LEFT JOIN LATERAL (SELECT 1) ON true | join
WITH rides AS (SELECT 1) SELECT count(*) FROM rides             | cte
SELECT count(*) FROM rides UNION SELECT count(*) FROM rides     | union
SELECT count(*) OVER () FROM rides                              | window
SELECT gu, count(*) FROM rides GROUP BY gu HAVING count(*) > 5  | having
SELECT gu, count(*) FROM rides GROUP BY gu ORDER BY gu          | sort
SELECT count(*) FROM rides LIMIT 1                              | sort
SELECT count(*) FROM rides OFFSET 1                             | sort
SELECT count(*) FROM rides QUALIFY true                         | window
SELECT count(*) FROM rides USING SAMPLE 5                       | clause
SELECT DISTINCT gu, count(*) FROM rides GROUP BY gu             | distinct
SELECT gu, count(*) FROM rides GROUP BY ALL                     | grouping
SELECT gu, count(*) FROM rides GROUP BY CUBE (gu)               | grouping
SELECT gu, count(*) FROM rides GROUP BY 1                       | select_list
SELECT gu, count(*) FROM rides                                  | keys_differ
SELECT count(*) FROM rides GROUP BY gu                          | keys_differ
SELECT gu, sex, count(*) FROM rides GROUP BY gu                 | keys_differ
SELECT gu AS place, count(*) FROM rides GROUP BY gu             | key_alias
SELECT gu FROM rides GROUP BY gu                                | no_measure
SELECT gu, sex FROM rides WHERE sex = 'F'                       | rows
SELECT count(*) AS n, count(*) AS n FROM rides                  | select_list
SELECT 1, count(*) FROM rides                                   | select_list
SELECT count(gu) FROM rides                                     | count_form
SELECT count(DISTINCT gu) FROM rides                            | count_form
SELECT count() FROM rides                                       | count_form
SELECT count(*) FILTER (WHERE sex = 'F') FROM rides             | count_form
SELECT sum(minutes + 1) FROM rides                              | arithmetic
SELECT sum(1) FROM rides                                        | function
SELECT sum(DISTINCT minutes) FROM rides                         | function
SELECT avg(minutes) OVER () FROM rides                          | window
SELECT band(minutes) AS band, count(*) FROM rides GROUP BY 1    | key_alias
SELECT median(at) FROM rides                                    | function
SELECT string_agg(gu) FROM rides                                | function
SELECT my_function(gu), count(*) FROM rides                     | function
SELECT hour(at, at), count(*) FROM rides                        | unreadable
SELECT weekday(), count(*) FROM rides                           | function
SELECT hour('2026-01-01'), count(*) FROM rides                  | function
SELECT dayofweek(at), count(*) FROM rides GROUP BY 1            | day_of_week
SELECT isodow(at), count(*) FROM rides GROUP BY 1               | day_of_week
SELECT count(*) + 1 FROM rides                                  | arithmetic
SELECT "select", count(*) FROM rides GROUP BY "select"          | name
SELECT "Gu", count(*) FROM rides GROUP BY "Gu"                  | name
SELECT 구, count(*) FROM rides GROUP BY 구                      | name
SELECT count(*) AS "n; DROP" FROM rides                         | name
… WHERE gu = NULL                                               | null
… WHERE gu LIKE '%'                                             | pattern
… WHERE gu ILIKE '%'                                            | pattern
… WHERE gu SIMILAR TO '.*'                                      | pattern
… WHERE gu GLOB '*'                                             | pattern
… WHERE CASE WHEN true THEN 1 END = 1                           | case
… WHERE at >= TIMESTAMP '2026-01-01'                            | cast
… WHERE at::DATE = '2026-01-01'                                 | select_list
… WHERE sex = 'F'::VARCHAR                                      | cast
… WHERE TRY_CAST('2026-01-01' AS DATE) < at                     | cast
… WHERE hour(at) + 1 > 3                                        | arithmetic
… WHERE hour(at) = -1                                           | arithmetic
… WHERE true                                                    | arithmetic
… WHERE sex                                                     | condition
… WHERE hour(at) = 1.5                                          | value
… WHERE hour(at) = 1e3                                          | value
… WHERE hour(at) = 99999999999999999999                         | value
… WHERE gu = sex                                                | value
… WHERE 'F' = 'F'                                               | select_list
… WHERE gu IN (SELECT gu FROM rides)                            | subquery
… WHERE EXISTS (SELECT 1)                                       | subquery
… WHERE gu = ANY (['a'])                                        | clause
… WHERE at BETWEEN DATE '2026-01-01' AND DATE '2026-01-31'      | date_between
… WHERE at BETWEEN '2026-01-01' AND '2026-01-31'                | date_between
… WHERE at < now()                                              | function
… WHERE at < current_date                                       | function
… WHERE sex = $1                                                | clause
… WHERE sex = ?                                                 | clause
… WHERE sex = e'F'                                              | clause
… WHERE sex = $$F$$                                             | clause
"""


def rows(table: str) -> list[tuple[str, ...]]:
    return [
        tuple(cell.strip() for cell in re.split(r" +\| ", line)) for line in table.strip("\n").splitlines()
    ]


def canonical(document: Any) -> Any:
    return bind(decode_plan(document), SCHEMA).document


def refusal_of(text: str) -> CivicError | None:
    """The refusal, None where the question may be asked; anything else is a fault and fails the test."""
    try:
        bind(decode_sql(text), SCHEMA)
    except CivicError as refusal:
        assert refusal.status < 500
        for language in LANGUAGES:
            said = envelope(refusal, language, "req-x")
            assert len(said["message"] + said["remedy"]) < 600
        return refusal
    return None


@pytest.mark.parametrize(("condition", "same"), rows(CONDITIONS))
def test_a_condition_means_the_same_in_both(condition: str, same: str) -> None:
    where = json.loads(same)
    document = {"dataset": "rides", "where": where, "by": [], "measures": {"n": {"fn": "count"}}}
    assert bind(decode_sql(f"{ONE} WHERE {condition}"), SCHEMA).document == canonical(document)


@pytest.mark.parametrize(("text", "keys", "measures"), rows(SELECTS))
def test_a_select_list_is_keys_and_measures(text: str, keys: str, measures: str) -> None:
    functions = {name: {"fn": name, "column": "at"} for name in ("hour", "weekday")}
    found = decode_sql(text)
    document = {
        "dataset": "rides",
        "by": [functions.get(key, key) for key in re.findall(r"\w+", keys)],
        "measures": {name: {"fn": fn} for name, fn in re.findall(r"(\w+): (\w+)", measures)},
    }
    assert found == decode_plan(document)


def test_sums_means_seasons_and_bands_have_their_words() -> None:
    found = decode_sql(
        "SELECT season(month), band(minutes) AS minutes_band, sum(minutes) AS total, avg(change) AS middle "
        "FROM rides GROUP BY season(month), band(minutes)"
    )
    document = {
        "dataset": "rides",
        "by": [{"fn": "season", "column": "month"}, {"fn": "band", "column": "minutes"}],
        "measures": {
            "total": {"fn": "sum", "column": "minutes"},
            "middle": {"fn": "mean", "column": "change"},
        },
    }
    assert found == decode_plan(document)


def test_the_question_of_the_guide_is_the_plan_of_the_guide() -> None:
    text = """
        SELECT gu, month, count(*) AS rides, count(DISTINCT person) AS riders
        FROM rides  -- one dataset
        WHERE month IN ('2026-01') AND sex = 'F' AND (at >= DATE '2026-01-05' OR NOT hour(at) BETWEEN 7 AND 9)
        GROUP BY gu, month
    """
    hours = {"column": {"fn": "hour", "column": "at"}, "op": "between", "values": [7, 9]}
    document = {
        "dataset": "rides",
        "where": {
            "and": [
                {"column": "month", "op": "in", "values": ["2026-01"]},
                {"column": "sex", "op": "eq", "value": "F"},
                {"or": [{"column": "at", "op": "ge", "value": "2026-01-05"}, {"not": hours}]},
            ]
        },
        "by": ["gu", "month"],
        "measures": {"rides": {"fn": "count"}, "riders": {"fn": "persons"}},
    }
    assert decode_sql(text) == decode_plan(document)


@pytest.mark.parametrize(("text", "why"), rows(REFUSED), ids=lambda value: value[:60])
def test_everything_else_is_refused_with_its_reason(text: str, why: str) -> None:
    refusal = refusal_of(text.replace("…", ONE))
    assert isinstance(refusal, SqlRefused)
    reason = refusal.facts["reason"]
    assert isinstance(reason, Phrase) and reason.key == f"{why}.reason"


def test_each_reason_occurs_above_and_has_its_sentences() -> None:
    named = {why for _, why in rows(REFUSED)} | {Why.TOO_LONG, Why.TOO_DEEP}
    # Of the open lane: tests/query/test_open_meaning.py.
    named |= {Why.ROW_LIST}
    assert named == set(Why)
    for language in LANGUAGES:
        assert set(_catalog(language, "sql")) == {f"{w}.{part}" for w in Why for part in ("reason", "hint")}


def test_an_unknown_function_is_named_with_those_that_are_offered() -> None:
    refusal = refusal_of("SELECT Median(at) FROM rides")
    assert refusal is not None
    said = envelope(refusal, "en", "req-x")
    assert said["message"] == "The function median is not offered."
    assert "count(DISTINCT person)" in said["remedy"] and "weekday(…)" in said["remedy"]
    hostile = refusal_of(f"SELECT {'f' * 5000}(at) FROM rides")
    assert hostile is not None and "fff" not in envelope(hostile, "en", "req-x")["message"]


_COMPARISON = "hour(at) = 1"
LARGE = {
    "brackets": "SELECT " + "(" * 5000,
    "closed brackets": f"{ONE} WHERE {'(' * 300}sex = 'F'{')' * 300}",
    "not": f"{ONE} WHERE {'NOT ' * 4000}sex = 'F'",
    "minus": f"{ONE} WHERE hour(at) = {'- ' * 4000}1",
    "case": "SELECT " + "CASE WHEN " * 1800,
    "and": f"{ONE} WHERE {' AND '.join([_COMPARISON] * 800)}",
    "or": f"{ONE} WHERE {' OR '.join([_COMPARISON] * 1200)}",
    "in": f"{ONE} WHERE hour(at) IN ({','.join(['1'] * 2000)})",
    "in, longer": f"{ONE} WHERE hour(at) IN ({','.join(['1'] * 9000)})",
    "long word": "x" * MAX_CHARACTERS,
    "longer": "x" * (MAX_CHARACTERS + 1),
    "long text": f"{ONE} WHERE gu = '{'가' * 19_000}'",
    "zero byte": "SELECT count(*)\x00 FROM rides",
    "bidi": "SELECT count(*) FROM rides\u202e WHERE sex = 'F'",
    "surrogate": f"{ONE} WHERE gu = '\ud800'",
    "wide letters": "ＳＥＬＥＣＴ count(*) FROM rides",
    "open comment": "SELECT count(*) FROM rides /* ",
    "nested comment": "SELECT count(*) FROM rides " + "/*" * 5000,
    "dollar": "$" * 5000,
    "quotes": "'" * 4999,
    "subqueries": "SELECT count(*) FROM " + "(SELECT count(*) FROM " * 500,
    "fields": "SELECT " + "a." * 4000 + "b FROM rides",
    "casts": "SELECT a" + "::INT" * 1500 + " FROM rides",
    "lists": "SELECT " + "[" * 4000,
    "braces": "SELECT " + "{'a':" * 1500,
    "arrows": "SELECT " + "x -> " * 1500 + "1",
}


@pytest.mark.parametrize("name", LARGE)
def test_what_is_large_or_strange_is_refused_and_never_a_fault(name: str) -> None:
    assert refusal_of(LARGE[name]) is not None


def test_six_hundred_conditions_are_one_level_deep() -> None:
    parts = " OR ".join(f"at >= DATE '{1900 + n}-01-01'" for n in range(600))
    assert refusal_of(f"{ONE} WHERE {parts}") is None


WORDS = """SELECT FROM WHERE GROUP BY AND OR NOT IN BETWEEN AS count person DISTINCT DATE CASE WHEN rides gu at hour
month sex read_csv COPY ATTACH PRAGMA EXPLAIN SET WITH JOIN UNION ( ) * , ; = <> 'F' 1 -- /* */ :: . $1 [ {"""


@settings(max_examples=250, deadline=None)
@given(st.lists(st.sampled_from(WORDS.split()) | st.text(max_size=4), max_size=25).map(" ".join))
def test_words_in_any_order_end_in_a_code(text: str) -> None:
    refusal_of(text)
    refusal_of(f"{ONE} WHERE {text}")
    refusal_of(f"SELECT {text} FROM rides")


def test_no_text_reaches_a_log_or_an_exception(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for text in ("EXPLAIN SELECT secret_word", "SELECT secret_word FROM (", "ALTER secret_word x"):
            with pytest.raises(SqlRefused) as caught:
                decode_sql(text)
            shown = "".join(traceback.format_exception(caught.value)[-1:]) + str(caught.value.facts)
            assert "secret_word" not in shown and caught.value.__suppress_context__
    assert caplog.records == []


def sayable(document: dict[str, Any]) -> dict[str, Any]:
    """Without weights; measures that SQL has no words for become counts."""
    said = {
        name: {word: m[word] for word in ("fn", "column") if word in m}
        if m["fn"] in ("count", "persons", "sum", "mean")
        else {"fn": "count"}
        for name, m in document["measures"].items()
    }
    return document | {"measures": said}


@settings(max_examples=200, deadline=None, print_blob=True)
@given(document=documents().map(sayable))
def test_a_plan_written_as_sql_is_read_back_as_the_same_plan(document: dict[str, Any]) -> None:
    # The analyst's renderer: what her list of questions shows can be asked again, and costs nothing then.
    text = sql_of(document)
    assert text is not None
    assert bind(decode_sql(text), SCHEMA).document == canonical(document)
    again = sql_of(canonical(document))
    assert again is not None and bind(decode_sql(again), SCHEMA).document == canonical(document)
