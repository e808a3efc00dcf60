"""The client of the REST API that the commands share: where the node is, which key it wants, and what went wrong.

The address comes from `--url`, else LONGLINE_URL, else `http_listen` of the configuration and LONGLINE_HTTP_LISTEN. The
key comes from `--api-key`, else LONGLINE_API_KEY, else the configuration, else the file that `longline serve` leaves in
its data directory.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import httpx2
import typer

from longline.base.config import Config
from longline.base.errors import LonglineError
from longline.base.keyfile import read_key_file

TIMEOUT_S = 10.0
PAGE = 100
"""Items of one page: the most that the API gives."""
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}

UrlOption = Annotated[str | None, typer.Option(metavar="URL", help="address of the node's API")]
KeyOption = Annotated[str | None, typer.Option(metavar="KEY", help="API key of the node")]
ConfigOption = Annotated[Path | None, typer.Option(metavar="FILE", help="the node's configuration file (TOML)")]


class ClientError(LonglineError):
    """The request came to nothing; the message says why and what to do next."""


class Client:
    """`with Client.find(url, key, config) as client`: every method returns decoded JSON or raises ClientError."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._http = httpx2.Client(
            base_url=f"{url}/api/v1", headers={"x-api-key": key}, timeout=TIMEOUT_S, trust_env=False
        )

    @classmethod
    def find(cls, url: str | None, key: str | None, config_file: Path | None) -> Self:
        """Raise ClientError when there is no key, ConfigError when the configuration is wrong."""
        config = Config.load(config_file)
        url = url or os.environ.get("LONGLINE_URL") or _local_url(config)
        key = key or config.api_key or read_key_file(config.data_dir)
        if key is None:
            raise ClientError(
                f"no API key: give --api-key or LONGLINE_API_KEY; `longline serve` leaves one in {config.data_dir}"
            )
        return cls(url.rstrip("/"), key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        return self._request("GET", path, params=params)

    def every(self, path: str, at_most: int, **params: Any) -> list[dict[str, Any]]:
        """What a list has, from its first page on, until there are `at_most` or a few more (the page is whole)."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while len(found) < at_most:
            page = self.get(path, limit=PAGE, **params, **cursor)
            found += page["data"]
            if not page["has_more"]:
                break
            cursor = {"cursor_after": page["next_cursor"]}
        return found

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._request("POST", path, json=body)

    def _request(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            answer = self._http.request(method, path, **arguments)
        except httpx2.ConnectError as error:
            raise ClientError(f"nothing answers at {self.url}: start it with `longline serve`") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ClientError(f"{self.url}: {error or type(error).__name__}") from error
        if answer.status_code >= 400:
            raise ClientError(_explain(answer))
        try:
            return answer.json()
        except ValueError as error:
            raise ClientError(f"{self.url} does not answer JSON: is that a Longline node?") from error


def _local_url(config: Config) -> str:
    host, port = config.http_address
    host = _EVERY_ADDRESS.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}"


def _explain(answer: httpx2.Response) -> str:
    """The node's own words."""
    try:
        body = answer.json()
    except ValueError:
        body = {}
    message = str(body.get("message") or answer.reason_phrase)
    if answer.status_code == 403:
        return f"{message} Give the key with --api-key or LONGLINE_API_KEY."
    errors = body.get("errors") or []
    places = "; ".join(f"{'.'.join(str(part) for part in item['loc'][1:])}: {item['msg']}" for item in errors)
    return f"{message}: {places}" if places else f"{message} ({answer.status_code})"
