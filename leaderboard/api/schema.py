"""The OpenAPI schema: what the views declare, and the problems that every call can answer with."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import Any, Literal

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from drf_spectacular.utils import OpenApiResponse

from leaderboard.api.problems import CONTENT_TYPE
from leaderboard.api.serializers.common import ProblemSerializer

EVERYWHERE = (400, 401, 406, 500, 503)
WITH_A_BODY = (411, 413, 415)


class ProblemSchema(AutoSchema):
    """Adds to each operation the query that its view declares, and its problems."""

    def get_override_parameters(self) -> list[Any]:
        """Parameters given to `extend_schema` come on top of these."""
        view: Any = self.view
        query = view.query_class(self.method)
        return [query] if query().fields else []

    def get_auth(self) -> list[dict[str, Any]]:
        """With the scope that a token needs, as OpenAPI 3.1 lets a bearer scheme name it."""
        view: Any = self.view
        scope = str(view.scope_of(self.method))
        return [{name: [scope] if name == "bearer" else given for name, given in each.items()} for each in super().get_auth()]

    def get_summary(self) -> str:
        """The first sentence of the method's docstring."""
        sentence = str(self.get_description()).split(". ")[0]
        return " ".join(sentence.split()).rstrip(".")

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        for status in sorted(self._problems()):
            about = OpenApiResponse(ProblemSerializer, description=HTTPStatus(status).phrase)
            responses[str(status)] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                about, str(status), [CONTENT_TYPE]
            )
        return responses

    def _problems(self) -> set[int]:
        view: Any = self.view
        found: set[int] = {*EVERYWHERE, *view.problems.get(self.method, ())}
        if "{" in self.path:
            found.add(404)
        if self.method not in ("GET", "DELETE"):
            found.update(WITH_A_BODY)
        if self.method == "GET":
            return found
        return found | {403}  # a browser session without its CSRF token


@cache
def openapi() -> dict[str, Any]:
    """The schema as a document. It does not depend on who asks, and takes a second to make."""
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return document


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`bearer` in the OpenAPI schema."""

    target_class = "leaderboard.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """RFC 6750."""
        del auto_schema
        return build_bearer_security_scheme_object(header_name="Authorization", token_prefix="Bearer")  # noqa: S106 - the scheme's name


class BrowserScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`session` in the OpenAPI schema."""

    target_class = "leaderboard.api.authentication.BrowserAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """The cookie that logging in sets."""
        del auto_schema
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
