"""Questions, and what is no question: what can be asked is answered, what cannot be is refused by a code and free."""

from __future__ import annotations

import copy
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.conftest import World
from tests.fuzz.replies import OPERATIONS, call, get, post
from tests.query.strategies import PERIODS, documents

PRICE, ANSWERS = "POST /v1/price", "POST /v1/answers"
MONTH = {"column": "month", "op": "eq", "value": PERIODS[0]}
QUESTION: dict[str, Any] = {
    "plan": {
        "dataset": "rides",
        "where": {
            "and": [
                {"column": "month", "op": "in", "values": [PERIODS[0]]},
                {"column": {"fn": "hour", "column": "at"}, "op": "ge", "value": 5},
                {"column": "at", "op": "between", "values": ["2026-01-01", "2026-01-20"]},
                {"not": {"column": "minutes", "op": "null"}},
            ]
        },
        "by": ["gu", {"fn": "weekday", "column": "at"}],
        "measures": {
            "n": {"fn": "count", "weight": 2},
            "m": {"fn": "mean", "column": "minutes"},
            "q": {"fn": "quantiles", "column": "minutes", "at": [25, 50]},
            "s": {"fn": "share", "within": ["gu"]},
        },
    },
    "spend": {"rho": "0.01", "cell": 5000},
    "team": "bike",
    "purpose": "research",
    "fresh": False,
    "key": "once",
}
MARGIN = QUESTION | {"spend": {"margin": {"n": 5000, "m": "2.5", "n2": "5%"}, "cell": 500}}
IN_SQL = {
    "sql": "SELECT gu, count(*) AS n FROM rides WHERE at >= DATE '2026-01-01' GROUP BY gu",
    "spend": {"precision": "보통"},
    "team": "bike",
    "purpose": "research",
}


def _nested(word: str, depth: int) -> str:
    return f'{{"{word}": ' * depth + "1" + "}" * depth


#: As JSON text: some of it Python could not write.
HOSTILE = [
    *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "0.1", "-0.0", "1" + "0" * 400, "1" + "0" * 5000),
    *map(str, (2**63, 2**63 - 1, -(2**63) - 1, 2**53, -(2**53), 2**31, -1, 0, 1)),
    *("true", "null", "[]", "{}", "[" * 300 + "]" * 300, _nested("and", 30), _nested("not", 300)),
    '{"fn": "count", "fn": "sum"}',
    *(
        json.dumps(text)
        for text in (
            *(
                "",
                " ",
                "٣",
                "３",
                "२०२६-०१-०१",
                "-5",
                "5%",
                "5%%",
                "NaN",
                "NaN%",
                "Infinity",
                "1e400",
                "1e-400",
            ),
            *("1E+999999999", "0x10", "1_0", "+1", "1e5%"),
            *(
                "0000-01-01",
                "0001-01-01",
                "10000-01-01",
                "-2026-01-01",
                "2026-02-29",
                "2024-02-29",
                "9999-12-31",
            ),
            *(
                "0000-01",
                "2026-13",
                "\ud800",
                "\udfff\ud800",
                "\x00",
                "a\x00b",
                "\u202e\u2067x",
                "\x1b[2J",
                "\u2028",
            ),
            *(
                "x" * 70_000,
                "가" * 30_000,
                "{0}",
                "%s",
                "%(x)s",
                "{column}",
                "month",
                "rides",
                "../../etc/passwd",
            ),
            "rides'; DROP TABLE charges; --",
        )
    ),
]
MARK = "@@MARK@@"


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """Every place of a document, and whether it is a key (then its value stays)."""
    yield path, False
    for step, inner in (
        node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    ):
        if isinstance(node, dict):
            yield (*path, step), True
        yield from _places(inner, (*path, step))


def _spoiled(document: Any, path: tuple[Any, ...], is_key: bool, hostile: str) -> bytes:
    if not path:
        return hostile.encode()
    document = copy.deepcopy(document)
    *steps, last = path
    node = document
    for step in steps:
        node = node[step]
    if is_key:
        node[MARK] = node.pop(last)
    else:
        node[last] = MARK
    return json.dumps(document).replace(f'"{MARK}"', hostile).encode()


PLACES = [(document, *place) for document in (QUESTION, MARGIN, IN_SQL) for place in _places(document)]


def test_a_question_that_was_spoiled_in_one_place_or_two_is_refused_by_a_code_and_costs_nothing(
    world: World, drawing: Callable[[int], settings]
) -> None:
    @drawing(200)
    @given(
        place=st.sampled_from(PLACES),
        hostile=st.sampled_from(HOSTILE),
        path=st.sampled_from(["/v1/price", "/v1/answers"]),
    )
    def run(place: tuple[Any, tuple[Any, ...], bool], hostile: str, path: str) -> None:
        document, steps, is_key = place
        if is_key and not hostile.startswith('"'):
            hostile = json.dumps(hostile)
        post(world, path, _spoiled(document, steps, is_key, hostile))

    run()


def test_whatever_the_grammar_can_say_is_priced_and_answered_as_documented(
    world: World, drawing: Callable[[int], settings]
) -> None:
    seen: Counter[Any] = Counter()

    @drawing(8)
    @given(
        plan=documents(), spend=st.sampled_from([None, {"precision": "자세히"}, {"rho": "0.02", "cell": 900}])
    )
    def run(plan: dict[str, Any], spend: Any) -> None:
        body = {"plan": plan, "spend": spend, "team": "bike", "purpose": "research"}
        priced, tag = call(world, OPERATIONS[PRICE].Case(body=body))
        before = world.recorded()
        status, answer = call(world, OPERATIONS[ANSWERS].Case(body=body))
        seen[status] += 1
        assert status == priced, (plan, tag, answer)
        if status == 200:
            assert answer["charged"] == tag["rho"] * len(tag["to_pay"])
            assert world.recorded()[1] - before[1] == answer["charged"]
        else:
            # Of a year of months: a filter that none of them passes, a share that is all or nothing.
            assert tag["code"] == answer["code"] == "plan_invalid"

    run()
    assert seen[200] > 3 * seen[400]


#: What stands where a number, a day or a name could in SQL.
TERMS = [
    *(
        "9223372036854775808",
        "-9223372036854775809",
        "1e400",
        "0x10",
        "1_000",
        "'٣'",
        "٣",
        "3.5",
        "NaN",
        "NULL",
    ),
    *("'NaN'::FLOAT", "'infinity'::DATE", "DATE '0000-01-01'", "DATE '10000-01-01'", "DATE '2026-02-29'"),
    *(
        "DATE 'infinity'",
        "DATE 'epoch'",
        "TIMESTAMP '2026-01-01'",
        "CURRENT_DATE",
        "'2026-02-29'",
        "?",
        "$1",
        ":x",
    ),
    *(
        "'\u202e'",
        "'\x00'",
        "\x00",
        "'" + "x" * 19_000 + "'",
        "(" * 200 + "1" + ")" * 200,
        "(SELECT 1)",
        "1/0",
    ),
    *(
        "'''",
        "'\\'",
        "/*",
        "-- ",
        "1; DROP TABLE charges",
        "{{x}}",
        "%s",
        "read_csv('/etc/passwd')",
        "at",
        "*",
    ),
]
TEMPLATES = [
    "SELECT count(*) FROM rides WHERE hour(at) >= {}",
    "SELECT count(*) FROM rides WHERE at >= {}",
    "SELECT count(*) FROM rides WHERE gu IN ('중구', {})",
    "SELECT count(*) FROM rides WHERE month BETWEEN {} AND '2026-02'",
    "SELECT count(*) AS n FROM rides GROUP BY {}",
    "SELECT sum({}) FROM rides",
    "SELECT {}, count(*) FROM {}",
    "{}",
]


def test_sql_with_a_hostile_term_is_refused_by_a_code_and_costs_nothing(
    world: World, drawing: Callable[[int], settings]
) -> None:
    @drawing(60)
    @given(template=st.sampled_from(TEMPLATES), term=st.sampled_from(TERMS))
    def run(template: str, term: str) -> None:
        body = IN_SQL | {"sql": template.replace("{}", term)}
        status, document = post(world, "/v1/price", json.dumps(body).encode())
        # What is not refused is a value of the public list, or nothing at all after it.
        assert status == 400 or term in ("/*", "-- "), (body, document)

    run()


def _body(**changes: Any) -> bytes:
    return json.dumps(QUESTION | changes).encode()


ONE_MEASURE = json.dumps({"dataset": "rides", "by": [], "measures": {"n": {"fn": "count"}}})
BYTES: dict[str, tuple[bytes, dict[str, str]]] = {
    "nothing": (b"", {}),
    "a gzip bomb": (gzip.compress(b" " * 20_000_000), {"Content-Encoding": "gzip"}),
    "gzip of a question": (gzip.compress(_body()), {"Content-Encoding": "gzip"}),
    "text": (_body(), {"Content-Type": "text/plain"}),
    "no type": (_body(), {"Content-Type": ""}),
    "a form": (b"team=bike&purpose=research", {"Content-Type": "application/x-www-form-urlencoded"}),
    "parts": (b"--x\r\n\r\n1\r\n--x--", {"Content-Type": "multipart/form-data; boundary=x"}),
    "UTF-16": (_body().decode().encode("utf-16"), {}),
    "a byte-order mark": (b"\xef\xbb\xbf" + _body(), {}),
    "latin-1": (b'{"team": "caf\xe9"}', {}),
    "a team twice": (f'{{"team": "walk", {_body().decode()[1:]}'.encode(), {}),
    "a measure twice": (
        _body(plan=MARK).replace(
            f'"{MARK}"'.encode(), ONE_MEASURE.replace('{"fn"', '{"fn": "count"}, "n": {"fn"', 1).encode()
        ),
        {},
    ),
    "deep lists": (b"[" * 900_000, {}),
    "deep objects": (b'{"plan": ' * 90_000, {}),
    "a deep filter": (_body(plan=MARK).replace(f'"{MARK}"'.encode(), _nested("not", 50_000).encode()), {}),
    "a NaN that nobody reads": (
        _body(spend=MARK).replace(f'"{MARK}"'.encode(), b'{"rho": "0.01", "x": NaN}'),
        {},
    ),
    "an infinity": (_body(spend=MARK).replace(f'"{MARK}"'.encode(), b'{"rho": "0.01", "x": 1e400}'), {}),
    "ten thousand words": (_body(**{f"k{number}": number for number in range(10_000)}), {}),
}


@pytest.mark.parametrize("case", BYTES)
def test_bytes_that_are_no_json_of_ours_are_malformed(world: World, case: str) -> None:
    content, headers = BYTES[case]
    for path in ("/v1/price", "/v1/answers"):
        status, document = post(world, path, content, **headers)
        assert (status, document["code"]) == (400, "malformed_request")


def test_a_body_beyond_the_limit_is_refused_by_its_size_on_every_route_that_reads_one(world: World) -> None:
    for label, operation in OPERATIONS.items():
        if operation.body:
            path = label.removeprefix("POST ")
            if "{" not in path:
                assert post(world, path, b" " * 1_000_001)[0] == 413


NUMBERS = (
    "-1",
    "1e3",
    "%D9%A3",
    "%EF%BC%93",
    "9" * 5000,
    "NaN",
    "inf",
    "%00",
    "%ff",
    "0x1",
    "1.5",
    "true",
    "",
    "%0A",
)


@pytest.mark.parametrize("label", [label for label, operation in OPERATIONS.items() if operation.query])
def test_a_number_in_the_address_is_a_plain_number_in_its_range(world: World, label: str) -> None:
    path = label.removeprefix("GET ").replace("{dataset}", "rides")
    for parameter in OPERATIONS[label].query:
        for number in (*NUMBERS, str(2**63), str(-(2**63) - 1)):
            status, document = get(world, label, f"{path}?{parameter.name}={number}")
            assert (status, document["code"]) == (400, "malformed_request"), (parameter.name, number)


@pytest.mark.parametrize(
    "name",
    [
        "%00",
        "%ff",
        "%ed%a0%80",
        "%E2%80%AE",
        "x" * 60_000,
        "..%2f..%2fetc",
        "%7B0%7D",
        "rides%00",
        "RIDES",
        "rides%20",
    ],
    ids=lambda name: name[:20],
)
def test_a_name_in_the_address_that_is_none_of_ours_is_absent(world: World, name: str) -> None:
    for label, operation in OPERATIONS.items():
        if label.startswith("GET") and operation.path_parameters:
            path = label.removeprefix("GET ").replace("{" + operation.path_parameters[0].name + "}", name)
            assert get(world, label, path)[0] == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept-Language": "x" * 30_000},
        {"Accept-Language": "ko;q=" + "9" * 400},
        {"Accept-Language": "en;q=NaN, ko;q=1e400, *;q=-1"},
        {"Accept-Language": b"\xff\xfe".decode("latin-1")},
        {"Accept": "text/html"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"X-Forwarded-For": "\u00ff" * 500, "Host": "evil.example"},
        {"Expect": "200-nothing"},
    ],
    ids=str,
)
def test_no_header_changes_more_than_the_language(world: World, headers: dict[str, str]) -> None:
    body = json.dumps(IN_SQL).encode()
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    assert post(world, "/v1/price", body, **encoded)[1] == post(world, "/v1/price", body)[1]  # type: ignore[arg-type]
