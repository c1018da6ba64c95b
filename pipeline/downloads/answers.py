"""What servers answer: an offer of a file, a reason to wait, or a reason to ask elsewhere."""

import errno
import re
import socket
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from typing import cast

import gdown
import requests

from shards.errors import DataError

TIMEOUT = (10, 60)
"""Seconds to connect, and without a byte."""
LONGEST_PAUSE = 600.0
"""Seconds that a server may ask us to wait."""
PASSING_STATUSES = {408, 425, 429}
"""Besides 5xx: statuses that pass."""
LINE_ERRORS = (ConnectionError, TimeoutError)
UNREACHED = (
    ConnectionRefusedError,
    socket.gaierror,
    requests.ConnectTimeout,
    requests.exceptions.SSLError,
)
"""No connection came about; so do the numbers below, which have no class of their own."""
UNREACHED_NUMBERS = (errno.EHOSTUNREACH, errno.ENETUNREACH)
CUT_OFF = (socket.gaierror,)
"""No name is known here, of this host or of any; so does the number below."""
CUT_OFF_NUMBERS = (errno.ENETUNREACH,)
NO_ADDRESS = (ValueError, requests.TooManyRedirects)
"""requests and urllib3 have several of the first, not all of them documented."""
USER_AGENT = f"Hearth/{version('hearth')} (pretraining at home; gdown)"
"""Wikimedia blocks clients that do not say who they are."""


class AddressError(Exception):
    """This address does not give the file; the next one may."""


class NotServed(AddressError):  # noqa: N818
    """There is no such file at this address."""


class Unreachable(AddressError):  # noqa: N818
    """There is no way to this host, and nothing has come from another in this run."""


class NoNetwork(DataError):  # noqa: N818
    """No address of a file can be reached: other lists and routes will not tell more."""


class Unfinished(Exception):  # noqa: N818
    """The attempt failed in a way that may pass."""

    def __init__(
        self,
        why: str,
        after: float | None = None,
        *,
        is_refusal: bool = False,
        is_unreached: bool = False,
        is_cut_off: bool = False,
    ) -> None:
        super().__init__(why)
        self.after = after  # seconds that the server asks us to wait
        self.is_refusal = is_refusal  # the server did not continue a partly loaded file
        self.is_unreached = is_unreached  # no connection came about
        self.is_cut_off = is_cut_off  # it may be that there is no network


@dataclass(frozen=True)
class Offer:
    """What a server says of a file before it is loaded."""

    address: str
    size: int | None = None
    validator: str | None = None
    """Changes with the content; None: a change would go unseen."""
    has_ranges: bool = True


def probe(address: str, staged: Path) -> Offer:
    """Ask for the first byte, to learn what the server would send."""
    headers = {"User-Agent": USER_AGENT, "Range": "bytes=0-0", "Accept-Encoding": "identity"}
    with (
        explained(staged),
        requests.get(address, headers=headers, stream=True, timeout=TIMEOUT) as response,
    ):
        is_empty = response.status_code == 416
        if response.status_code not in (200, 206) and not is_empty:
            raise _refusal(response)
        kind = response.headers.get("Content-Type", "")
        if kind.partition(";")[0].strip().lower() in ("text/html", "application/xhtml+xml"):
            raise NotServed("a web page instead of the file")
        size = response.headers.get("Content-Length", "")
        if response.status_code != 200:
            size = response.headers.get("Content-Range", "").rpartition("/")[2]
        is_encoded = response.headers.get("Content-Encoding", "identity").lower() != "identity"
        return Offer(
            without_login(address),
            size=int(size) if re.fullmatch("[0-9]+", size) and not is_encoded else None,
            validator=response.headers.get("ETag") or response.headers.get("Last-Modified"),
            has_ranges=response.status_code == 206 and not is_encoded,
        )


def _refusal(response: requests.Response) -> Exception:
    """Return what to raise for a status that brings no file."""
    why = f"HTTP {response.status_code} {response.reason or ''}".rstrip()
    if response.status_code in PASSING_STATUSES or response.status_code >= 500:
        return Unfinished(why, parse_retry_after(response.headers.get("Retry-After")))
    return NotServed(why)


def parse_retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After asks for: a number, or a date."""
    if value is None:
        return None
    if re.fullmatch(r"\s*[0-9]+\s*", value):
        return min(float(value), LONGEST_PAUSE)
    try:
        date = parsedate_to_datetime(value)
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError, IndexError):
        return None
    return min(max(seconds, 0.0), LONGEST_PAUSE)


@contextmanager
def explained(staged: Path) -> Iterator[None]:
    """Turn what gdown and requests raise into AddressError, Unfinished or a named OSError."""
    try:
        yield
    except gdown.DownloadCancelled as error:
        raise CancelledError from error
    except gdown.FileURLRetrievalError as error:
        why = " ".join(str(error).split()).removeprefix("Failed to retrieve file url: ")
        raise NotServed(f"Google Drive: {why.partition(' You may still')[0]}") from error
    except requests.HTTPError as error:
        raise _refusal(cast(requests.Response, error.response)) from error
    except NO_ADDRESS as error:
        raise AddressError(_reason(error)) from error
    except (gdown.DownloadError, requests.RequestException, *LINE_ERRORS) as error:
        # With a cause, it is the line's; without, gdown's own verdict on the server's answer.
        is_refusal = isinstance(error, gdown.DownloadError) and error.__cause__ is None
        raise Unfinished(
            _reason(error),
            is_refusal=is_refusal,
            is_unreached=_is_one(error, UNREACHED, UNREACHED_NUMBERS),
            is_cut_off=_is_one(error, CUT_OFF, CUT_OFF_NUMBERS),
        ) from error
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(staged)) from error
        raise


def without_login(text: str) -> str:
    """Return an address, or a text with some, without user names and passwords."""
    return re.sub("(?<=://)[^/?#]*@", "", text)


def _reason(error: BaseException) -> str:
    """Return one line: the innermost error, which says it without the libraries around it."""
    *_, innermost = _chain(error)
    lines = str(innermost).strip().splitlines()
    return without_login(lines[0]) if lines else type(innermost).__name__


def _is_one(error: Exception, kinds: tuple[type[Exception], ...], numbers: tuple[int, ...]) -> bool:
    """Return whether an error, or one that led to it, is of these kinds or has such a number."""
    return any(
        isinstance(one, kinds) or getattr(one, "errno", None) in numbers for one in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and those that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
