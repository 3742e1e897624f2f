"""Who is answered: this page only, by the secret in its address; and with which headers.

The address is `http://127.0.0.1:PORT/TOKEN/`. All addresses of the page are relative to it, so that
every request holds the token; there is no cookie that other servers of this machine could see.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
REFUSED = "Refused. Open the address that `inpaintcli ui` has printed."


def new_token() -> str:
    """A secret for one run: 256 bits."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Guard:
    """An ASGI application before another: refuses whoever is not the page.

    hosts: values of the Host header that are this server's own names. A page of another server,
    whose name was made to lead here (DNS rebinding), has another.
    """

    app: ASGIApp
    token: str
    hosts: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, or refuse it."""
        if scope["type"] != "http":
            return
        if not self._is_allowed(scope):
            await PlainTextResponse(REFUSED, 403, HEADERS)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        inner = {**scope, "root_path": f"/{self.token}"}
        await self.app(inner, receive, send_with_headers)

    def _is_allowed(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        if headers.getlist("host") != [headers.get("host")] or headers["host"] not in self.hosts:
            return False
        if any(origin not in self._origins() for origin in headers.getlist("origin")):
            return False
        if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            return False
        return self._has_token(scope)

    def _origins(self) -> Iterable[str]:
        return {f"http://{host}" for host in self.hosts}

    def _has_token(self, scope: dict[str, Any] | Any) -> bool:
        parts = str(scope["path"]).split("/", 2)
        given = parts[1] if len(parts) == 3 else ""
        return secrets.compare_digest(given.encode("utf-8", "replace"), self.token.encode())
