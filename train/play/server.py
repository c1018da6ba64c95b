"""The page's server: this machine alone can reach it, and it needs no other.

The standard library serves it: a page with three requests wants no framework, and this way there
is nothing to install and nothing that is loaded from elsewhere.
"""

import json
import socketserver
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from shards.errors import DataError
from train.play.answers import Answers, Json, Stopped
from train.play.page import PAGE
from train.play.script import SCRIPT
from train.play.style import STYLE

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
MOST_BYTES = 1_000_000
"""Of a request: far more than any model reads."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load: its own parts, nothing from another host (Content-Security-Policy)."""
DIGITS = 12
"""Of the length of a request that is read to its end, so that its sender reads the answer."""
FILES = {
    "/": (PAGE, "text/html"),
    "/style.css": (STYLE, "text/css"),
    "/script.js": (SCRIPT, "text/javascript"),
}


class PlayServer(ThreadingHTTPServer):
    """Serve the page and the answers of a model.

    Args:
        answers: The model.
        port: 0 = any that is free.

    Raises:
        DataError: The port cannot be had.
    """

    daemon_threads = True
    request_queue_size = 64
    block_on_close = False

    def __init__(self, answers: Answers, port: int) -> None:
        self.answers = answers
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            problem = f"port {port} cannot be used ({error.strerror})"
            raise DataError(problem, "choose another by --port; 0 takes any free one") from error

    def server_bind(self) -> None:
        """Take the port, without asking the network for this machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    @property
    def address(self) -> str:
        """Return where the page is."""
        return f"http://{HOST}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Print what is our fault; a page that was closed meanwhile is none."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: PlayServer

    def do_GET(self) -> None:
        """Send a part of the page, or what it needs to know."""
        if not self._is_for_us():
            return
        if self.path == "/about":
            self._send_json(HTTPStatus.OK, self.server.answers.about())
        elif self.path in FILES:
            content, kind = FILES[self.path]
            self._send(HTTPStatus.OK, kind, content)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page: open /")

    def do_POST(self) -> None:
        """Send the model's answer, or in one line why there is none."""
        body = self._read()  # first of all: what is left unread would break the connection off
        if not self._is_for_us():
            return
        tab = self.path.removeprefix("/")
        if tab not in self.server.answers.tabs:
            self._refuse(HTTPStatus.NOT_FOUND, "this model does not do that: open /")
            return
        if body is None:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the text is too long: shorten it")
            return
        request = self._parse(body)
        if request is None:
            self._refuse(HTTPStatus.BAD_REQUEST, "no JSON object with a text: send one")
            return
        try:
            self._send_json(HTTPStatus.OK, self.server.answers.answer(tab, request))
        except DataError as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except Stopped:
            self.close_connection = True
        except Exception:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of ours: see the terminal")
            raise

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing for each request."""

    def _is_for_us(self) -> bool:
        """Refuse pages of other hosts that a name leads here (DNS rebinding)."""
        is_ours = self.headers.get("Host", "").partition(":")[0] in NAMES
        if not is_ours:
            line = f"the page has another name here: open {self.server.address}"
            self._refuse(HTTPStatus.FORBIDDEN, line)
        return is_ours

    def _read(self) -> bytes | None:
        """Return what was sent; None if it is too long, which is read all the same."""
        length = self.headers.get("Content-Length", "")
        left = int(length) if length.isdecimal() and len(length) <= DIGITS else 0
        if left <= MOST_BYTES:
            return self.rfile.read(left)
        while left > 0 and (part := self.rfile.read(min(left, MOST_BYTES))):
            left -= len(part)
        return None

    def _parse(self, body: bytes) -> Json | None:
        """Return the request, or None; a page of another site cannot send JSON unasked."""
        if self.headers.get_content_type() != "application/json":
            return None
        try:
            request = json.loads(body)
            json.dumps(request, ensure_ascii=False).encode()  # fails on halves of characters
        except (ValueError, RecursionError):
            return None
        has_text = isinstance(request, dict) and isinstance(request.get("text"), str)
        return request if has_text else None

    def _refuse(self, status: HTTPStatus, line: str) -> None:
        self._send_json(status, {"error": line})

    def _send_json(self, status: HTTPStatus, content: Json) -> None:
        self._send(status, "application/json", json.dumps(content))

    def _send(self, status: HTTPStatus, kind: str, content: str) -> None:
        body = content.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)
