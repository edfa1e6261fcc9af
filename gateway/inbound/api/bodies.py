"""A JSON body of one object, read behind the gate for untrusted JSON."""

from typing import Any, TypeVar

import msgspec
from litestar import Request

from gateway.domain.problems import Problem, Rejected
from gateway.inbound.parts import parts_of
from gateway.mapping.json_gate import parse_untrusted_json

T = TypeVar("T")


async def read_body(request: Request[Any, Any, Any], decoder: msgspec.json.Decoder[T]) -> T:
    """The object in a request's body. Raises Rejected for a body too large, for what is no JSON, and for another shape."""
    limits = parts_of(request).settings.limits
    body = await request.body()
    if len(body) > limits.json_bytes:
        raise Rejected(Problem(code="body_too_large", values={"limit": str(limits.json_bytes)}))
    try:
        return parse_untrusted_json(body, decoder, depth=limits.json_depth)
    except msgspec.ValidationError as error:
        raise Rejected(Problem(code="json_shape", values={"reason": str(error)})) from error
