"""`python -m data_access.gateway.openapi > docs/openapi.json`: the HTTP contract as one document.

Generated from the routes themselves, so that it cannot promise what is not there; what the routes cannot say
(which right each demands, the one failure envelope, which of them need no token) is added here and checked
against the running app by tests/contracts/test_openapi.py. The analyst side knows the gateway by this document
alone.
"""

from __future__ import annotations

import json
import sys
from typing import Any, cast

from data_access.compose import Parts
from data_access.errors import REGISTRY
from data_access.gateway.approvals import DECIDE
from data_access.gateway.arrow import ARROW
from data_access.gateway.identity import ACCESS, ASK, FACILITATE, READ, Identity
from data_access.gateway.public import public_app
from data_access.gateway.replies import STREAMED, reply_schemas
from data_access.gateway.workspace import APPROVE, RELEASE, workspace_app

Document = dict[str, Any]

#: What each route demands besides access to the service; any one of several is enough. A route that is
#: neither here nor public fails the build: nothing is documented without saying who may call it.
DEMANDED: dict[tuple[str, str], tuple[str, ...]] = {
    ("get", "/v1/me"): (READ,),
    ("get", "/v1/catalog"): (READ,),
    ("get", "/v1/datasets/{dataset}"): (READ,),
    ("get", "/v1/datasets/{dataset}/twin"): (READ,),
    ("post", "/v1/price"): (ASK,),
    ("post", "/v1/answers"): (ASK,),
    ("get", "/v1/answers"): (READ,),
    ("get", "/v1/answers/{answer_id}"): (READ,),
    ("get", "/v1/approvals"): (READ,),
    ("get", "/v1/approvals/{approval}"): (READ,),
    ("post", "/v1/approvals/{approval}"): DECIDE,
    ("get", "/v1/allowances"): (READ,),
    ("post", "/v1/allowances"): (FACILITATE,),
    ("post", "/v1/releases"): (RELEASE,),
    ("post", "/v1/releases/{release}/approvals"): APPROVE,
}
SCHEME = "HubToken"
WORKSPACE = {"url": "/services/data", "description": "behind the Hub's login"}
CITIZENS = {"url": "/", "description": "on the citizen site, for anybody"}


def openapi_document() -> Document:
    """Both apps as one OpenAPI 3.1 document; the same bytes for the same routes."""
    # The routes take hold of `parts` and `identity` only when they are called, and nothing here calls them.
    parts, identity = cast(Parts, None), cast(Identity, None)
    document: Document = workspace_app(parts, identity, prefix="").openapi()
    public: Document = public_app(parts).openapi()
    for path, operations in public["paths"].items():
        if document["paths"].get(path, {}).keys() < operations.keys():
            raise ValueError(f"{path} is public but absent from the workspace's app")
    replies, shared = reply_schemas()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(operation, method, path, method in public["paths"].get(path, {}))
            for status, response in operation["responses"].items():
                if status.startswith("2"):
                    if (method, path, status) not in replies:
                        raise ValueError(f"{method} {path} {status} has no reply in gateway/replies.py")
                    response["content"] = {"application/json": {"schema": replies[method, path, status]}}
                    if (method, path, status) in STREAMED:
                        response["content"][ARROW] = {"schema": {"type": "string", "format": "binary"}}
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= shared
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Failure"] = _failure_schema()
    document["components"]["responses"] = {
        "Failure": {
            "description": "A refusal or a fault, in the reader's language (Accept-Language: ko or en).",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}},
        }
    }
    document["components"]["securitySchemes"] = {
        SCHEME: {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": f"`token <Hub token>`, with the scope {ACCESS} and the named one.",
        }
    }
    document["servers"] = [WORKSPACE]
    return document


def _complete(operation: Document, method: str, path: str, is_public: bool) -> None:
    """Add who may call it and how it fails; take out what the framework says and the gateway never sends."""
    if is_public:
        operation["security"] = []
        operation["servers"] = [WORKSPACE, CITIZENS]
    else:
        operation["security"] = [{SCHEME: [scope]} for scope in DEMANDED[method, path]]
    # Both are headers that OpenAPI has its own places for: the scheme, and the media types of a response.
    hidden = ("authorization", "accept")
    parameters = [p for p in operation.pop("parameters", ()) if p["name"] not in hidden]
    if parameters:
        operation["parameters"] = parameters
    # The framework's own 422 is answered as `malformed_request` (gateway/failures.py).
    operation["responses"].pop("422", None)
    for statuses in ("4XX", "5XX"):
        operation["responses"][statuses] = {"$ref": "#/components/responses/Failure"}


def _failure_schema() -> Document:
    fields: Document = {name: {"type": "string"} for name in ("code", "message", "remedy", "request_id")}
    fields["code"]["enum"] = sorted(REGISTRY)
    return {
        "type": "object",
        "title": "Failure",
        "required": list(fields),
        "properties": fields,
        "x-status": {code: REGISTRY[code].status for code in sorted(REGISTRY)},
    }


def openapi_text() -> str:
    """The document as it lies in docs/openapi.json."""
    return json.dumps(openapi_document(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(openapi_text())
