"""A local HTTP server that misbehaves on purpose."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


@dataclass
class Page:
    """What is served at one path, and what is wrong with it."""

    body: bytes
    etag: str | None = '"1"'
    ranges: bool = True
    type: str = "application/octet-stream"
    announced: int = 0
    """Added to the length that the server states."""
    sends: Callable[[int], int] | None = None
    """Of the offset of a response: the bytes after which the server closes the connection."""
    stalls: bool = False
    """Whether the server falls silent where it would close."""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Statuses and headers of the first requests."""
    gate: threading.Event | None = None
    """Holds the body back."""
    barrier: threading.Barrier | None = None
    """Holds the body back until as many others are asked for."""


@dataclass(frozen=True)
class Request:
    path: str
    range: str | None
    agent: str
    login: str | None

    @property
    def is_probe(self) -> bool:
        return self.range == "bytes=0-0"


class Handler(BaseHTTPRequestHandler):
    server: "Server"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path, wanted = unquote(self.path), self.headers["Range"]
        request = Request(path, wanted, self.headers["User-Agent"], self.headers["Authorization"])
        self.server.requests.append(request)
        page = self.server.pages.get(path)
        if page is None:
            return self.send_error(404)
        if page.answers:
            status, headers = page.answers.pop(0)
            return self.reply(status, headers)
        start, end = self.span(page, wanted)
        if start is None:
            return self.reply(416, {"Content-Range": f"bytes */{len(page.body)}"})
        self.send_response(206 if wanted and page.ranges else 200)
        self.send_header("Content-Type", page.type)
        total = len(page.body) + page.announced
        self.send_header("Content-Length", str(min(end, total) - start))
        if wanted and page.ranges:
            self.send_header("Content-Range", f"bytes {start}-{min(end, total) - 1}/{total}")
        if page.etag:
            self.send_header("ETag", page.etag)
        self.end_headers()
        with suppress(OSError):
            self.send_body(page, request, start, end)
        return None

    def span(self, page: Page, wanted: str | None) -> tuple[int | None, int]:
        total = len(page.body) + page.announced
        if not wanted or not page.ranges:
            return 0, total
        condition = self.headers["If-Range"]
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        if found is None or int(found[1]) >= total or (condition and condition != page.etag):
            return None, 0
        return int(found[1]), int(found[2]) + 1 if found[2] else total

    def send_body(self, page: Page, request: Request, start: int, end: int) -> None:
        if request.is_probe:
            self.wfile.write(page.body[start:end])
            return
        if page.barrier:
            page.barrier.wait(10)
        if page.gate:
            page.gate.wait(10)
        stop = end if page.sends is None else min(end, start + page.sends(start))
        self.wfile.write(page.body[start:stop])
        if page.stalls and stop < end:
            self.server.release.wait(10)

    def reply(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("", 0), Handler)
        self.pages: dict[str, Page] = {}
        self.requests: list[Request] = []
        self.release = threading.Event()

    def vanish(self) -> None:
        """Refuse every connection from now on."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients hang up at will

    def serve(self, path: str, body: bytes, *, host: str = "127.0.0.1", **changes: object) -> str:
        """Serve `body` at `path` and return its address."""
        self.pages[path] = Page(body, **changes)
        return self.address(path, host)

    def address(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_address[1]}{path}"

    def bodies(self, path: str) -> list[str | None]:
        """Return the Range of each request at `path` but those for the first byte only."""
        return [one.range for one in self.requests if one.path == path and not one.is_probe]


@contextmanager
def running() -> Iterator[Server]:
    """Serve until the block ends."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
