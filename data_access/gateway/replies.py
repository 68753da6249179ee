"""Which route answers with what: the schemas of the replies for docs/openapi.json."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from data_access.gateway.documents import (
    AllowanceLine,
    AllowanceSet,
    Answer,
    AnswerLine,
    Catalog,
    DatasetDocument,
    Me,
    Price,
    Twin,
    Waiting,
)
from data_access.gateway.open_documents import FreePrice, OpenAnswer, OpenDatasetDocument
from data_access.gateway.public_documents import (
    Events,
    Ledger,
    LostShare,
    Parties,
    PolicyLine,
    Release,
    SignedHead,
    Witnessed,
    Witnesses,
)

#: (method, path, status) -> what that success has as its body. What is missing here fails the build of the document.
REPLIES: dict[tuple[str, str, str], Any] = {
    ("get", "/v1/me", "200"): Me,
    ("get", "/v1/catalog", "200"): Catalog,
    ("get", "/v1/datasets/{dataset}", "200"): DatasetDocument | OpenDatasetDocument,
    ("get", "/v1/datasets/{dataset}/twin", "200"): Twin,
    ("post", "/v1/price", "200"): Price | FreePrice,
    ("post", "/v1/answers", "200"): Answer | OpenAnswer,
    ("post", "/v1/answers", "202"): Waiting,
    ("get", "/v1/approvals", "200"): list[Waiting],
    ("get", "/v1/approvals/{approval}", "200"): Waiting,
    ("post", "/v1/approvals/{approval}", "200"): Waiting,
    ("get", "/v1/allowances", "200"): list[AllowanceLine],
    ("post", "/v1/allowances", "200"): AllowanceSet,
    ("get", "/v1/answers", "200"): list[AnswerLine],
    ("get", "/v1/answers/{answer_id}", "200"): Answer | OpenAnswer,
    ("post", "/v1/releases", "200"): Release,
    ("post", "/v1/releases/{release}/approvals", "200"): Release,
    ("get", "/v1/releases", "200"): list[Release],
    ("get", "/v1/releases/{release}", "200"): Release,
    ("get", "/v1/ledger", "200"): Ledger,
    ("get", "/v1/lost-shares", "200"): list[LostShare],
    ("get", "/v1/audit/head", "200"): SignedHead,
    ("get", "/v1/audit/events", "200"): Events,
    ("get", "/v1/audit/witnesses", "200"): Witnesses,
    ("post", "/v1/audit/witnesses", "200"): Witnessed,
    ("get", "/v1/policies", "200"): list[PolicyLine],
    ("get", "/v1/parties", "200"): Parties,
}


#: Those that come as an Arrow stream too, where that is asked for (gateway/arrow.py).
STREAMED = {("post", "/v1/answers", "200"), ("get", "/v1/answers/{answer_id}", "200")}


def reply_schemas() -> tuple[dict[tuple[str, str, str], Any], dict[str, Any]]:
    """The schema of each reply, and the schemas that these refer to under `#/components/schemas/`."""
    # `validation`: what a signed document may be, not what pydantic would write for it.
    found, shared = TypeAdapter.json_schemas(
        [(route, "validation", TypeAdapter(reply)) for route, reply in REPLIES.items()],
        ref_template="#/components/schemas/{model}",
    )
    return {route: schema for (route, _), schema in found.items()}, shared.get("$defs", {})
