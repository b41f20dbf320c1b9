"""What every call of the API has in common. A view parses (`self.query`, `self.body`), calls one function, and answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers
from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated, NotFound, UnsupportedMediaType
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from evaluators import limits
from leaderboard import throttling
from leaderboard.accounts.models import Scope, User
from leaderboard.api.pagination import Cursor, PageQuery
from leaderboard.api.parsing import StrictJSONParser
from leaderboard.api.problems import LengthRequired
from leaderboard.api.strict import NoQuery, Strict
from leaderboard.permissions import check_scope
from leaderboard.refusals import TooLarge

READS = ("GET", "HEAD")


class ApiView(APIView):
    """Base of all views.

    queries:  the query of each method (HEAD is GET); a method without one takes no parameters.
    problems: the statuses that a method can answer beyond those of all calls; for the schema.
    scopes:   the scope that a token needs for a method, where it is not "read" for reads and "submit" for the rest.
    """

    parser_classes = [StrictJSONParser]
    queries: ClassVar[Mapping[str, type[Strict]]] = {}
    problems: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    scopes: ClassVar[Mapping[str, Scope]] = {}
    query: dict[str, Any]

    @property
    def max_body_bytes(self) -> int:
        """Larger bodies are refused before they are read."""
        return limits.MAX_JSON_BYTES

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what cannot be read, find out who asks, read the query."""
        if request.method not in self.allowed_methods:
            raise MethodNotAllowed(str(request.method))
        self._check_length(request)
        super().initial(request, *args, **kwargs)
        self.query = self._read(self.query_class(str(request.method)), request.query_params)

    def check_permissions(self, request: Request) -> None:
        """Who may call at all, and whether a token may be used for it. Raises NotAuthenticated, MissingScope."""
        super().check_permissions(request)
        check_scope(request.auth, self.scope_of(str(request.method)))

    def scope_of(self, method: str) -> Scope:
        """The scope that a token needs."""
        method = "GET" if method in SAFE_METHODS else method
        return self.scopes.get(method, Scope.READ if method == "GET" else Scope.SUBMIT)

    def check_throttles(self, request: Request) -> None:
        """Count the call. Raises Throttled."""
        throttling.count_call(request)

    @property
    def caller(self) -> User:
        """Who asks, for calls that no visitor may make."""
        if not isinstance(self.request.user, User):
            raise NotAuthenticated
        return self.request.user

    def query_class(self, method: str) -> type[Strict]:
        """The serializer of a method's query."""
        return self.queries.get("GET" if method == "HEAD" else method, NoQuery)

    def body(self, serializer: type[Strict]) -> dict[str, Any]:
        """The checked fields of the body. Raises ValidationError, ParseError, UnsupportedMediaType or TooLarge."""
        try:
            return self._read(serializer, self.request.data)
        except UnsupportedMediaType as error:
            accepted = " or ".join(parser.media_type for parser in self.parser_classes if parser.media_type)
            told = f"Send the body as {accepted}, and say so in Content-Type."
            raise UnsupportedMediaType(str(self.request.content_type), detail=told) from error

    def filters(self) -> dict[str, Any]:
        """The part of the query that narrows a list."""
        return {name: value for name, value in self.query.items() if name not in PageQuery().fields}

    def page(
        self,
        rows: QuerySet[Any],
        serializer: type[Serializer],
        *,
        ordering: tuple[str, ...],
        complete: Callable[[list[Any]], Sequence[Any]] = list,
    ) -> Response:
        """One page of a list. `complete` adds to the rows of the page what is shown beside them."""
        cursor = Cursor(ordering=ordering, page_size=self.query["page_size"])
        shown = complete(cursor.rows(rows, self.request))
        return cursor.get_paginated_response(serializer(shown, many=True, context={"request": self.request}).data)

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        """The header Allow says it all."""
        del request, args, kwargs
        return Response(status=204)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Answers depend on who asks, and are checked again before each use: the ETag makes that cheap."""
        response = super().finalize_response(request, response, *args, **kwargs)
        patch_vary_headers(response, ["Authorization", "Cookie"])
        patch_cache_control(response, private=True, no_cache=True)
        if request.method not in READS or response.status_code != 200 or response.streaming:
            return response
        if isinstance(response, Response):
            response.add_post_render_callback(self._conditional)
            return response
        return self._conditional(response)

    def _conditional(self, response: HttpResponse) -> HttpResponseBase | None:
        tag = f'W/"{hashlib.sha256(response.content).hexdigest()[:32]}"'
        response["ETag"] = tag
        return get_conditional_response(self.request._request, etag=tag, response=response)  # noqa: SLF001

    def _check_length(self, request: Request) -> None:
        length = request.META.get("CONTENT_LENGTH") or ""
        if not length.isdecimal() and (length or request.META.get("HTTP_TRANSFER_ENCODING")):
            raise LengthRequired
        if int(length or 0) > self.max_body_bytes:
            raise TooLarge(f"The body has {length} bytes, and at most {self.max_body_bytes} are accepted here.")

    @staticmethod
    def _read(serializer: type[Strict], data: Any) -> dict[str, Any]:
        filled = serializer(data=data)
        filled.is_valid(raise_exception=True)
        return dict(filled.validated_data)


class NoSuchRoute(ApiView):
    """Answers every address of the API that is none."""

    authentication_classes = ()
    permission_classes = ()
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raises NotFound for any method, with the address that was perhaps meant."""
        del args, kwargs
        raise NotFound(f"There is nothing at {request.path}{self._hint(request)}. The calls are listed at /api/docs/.")

    @staticmethod
    def _hint(request: HttpRequest | Request) -> str:
        return "" if request.path.endswith("/") else "; every address ends with a slash"
