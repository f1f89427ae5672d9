"""Who may ask: this machine's browser, on the page that the studio opened, with this run's token.

Pages of other sites can send requests to 127.0.0.1, and names of theirs can point there. So a
request needs a Host of ours, no Origin or ours, and, except for the page itself, a token in a
header, which pages of others can neither know nor send without being asked first.
"""

from __future__ import annotations

import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN = "x-umss-token"
HOSTS = ("127.0.0.1", "localhost")
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; "
    "worker-src 'self' blob:; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "x-frame-options": "DENY",
}


class Guard:
    """ASGI middleware that refuses what does not come from the studio's own page.

    Args:
        app: what is guarded.
        token: of this run.
        port: on which the studio listens.
    """

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = {f"{host}:{port}" for host in HOSTS} | (set(HOSTS) if port == 80 else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._find_refusal(scope)
        if refusal is not None:
            status, sentence = refusal
            response = JSONResponse({"error": sentence}, status)
            await response(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _find_refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 400, "this address is not the studio's; open the one it printed"
        origins = {f"http://{host}" for host in self._hosts}
        if any(origin.lower() not in origins for origin in headers.getlist("origin")):
            return 403, "a page of another site may not use the studio"
        path, method = scope["path"], scope["method"]
        is_page = path == "/" and method in ("GET", "HEAD")
        site = headers.get("sec-fetch-site", "none")
        # Another page may lead to the studio, but take nothing from it.
        leads = is_page and headers.get("sec-fetch-mode", "navigate") == "navigate"
        if site not in ("same-origin", "none") and not leads:
            return 403, "a page of another site may not use the studio"
        if is_page or (path.startswith("/static/") and method in ("GET", "HEAD")):
            return None
        if path.startswith("/download/") and method == "GET":
            return None  # holds a ticket, which is good once
        given = headers.getlist(TOKEN)
        if len(given) != 1 or not secrets.compare_digest(given[0].encode(), self._token):
            return 403, "open the address that umss studio printed in the terminal"
        return None


def make_token() -> str:
    """A token of a run."""
    return secrets.token_urlsafe(32)
