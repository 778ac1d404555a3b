"""Starts a server, and says where it is and who can reach it."""

from __future__ import annotations

import importlib.util
import ipaddress
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardiobind.errors import ConfigError
from cardiobind.serve.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from uvicorn import Config

    from cardiobind.inference import Predictor, PreparedSubject
    from cardiobind.serve.predicting import Explain, Neighbours

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
STOP_SECONDS = 30
_EXTRA = ("fastapi", "uvicorn", "python_multipart")
_SETTINGS = Settings()


def explain_score(predictor: Predictor, prepared: PreparedSubject) -> dict[str, Any]:
    """Return what a score rests on, as JSON holds it; see `cardiobind.explain.explain`."""
    from cardiobind.explain import explain

    return explain(predictor, prepared).to_json()


def make_app(
    predictor: Predictor, settings: Settings = _SETTINGS, *, explain: Explain | None = explain_score,
    neighbours: Neighbours | None = None,
) -> FastAPI:  # fmt: skip
    """Return a bundle as an ASGI application; its workers start and end with its lifespan.

    Args:
        predictor: of `cardiobind.load`.
        settings: limits and API key.
        explain: (predictor, prepared subject) -> an explanation as JSON holds it; None, or without the extra
            ``explain``: scores are not explained.
        neighbours: (predictor, prepared subject) -> nearest cases as JSON holds them; None: none are shown.

    Raises:
        ConfigError: the extra ``serve`` is not installed.
    """
    missing = [name for name in _EXTRA if not _is_there(name)]
    if missing:
        raise ConfigError(
            "what a server needs is not installed", got=f"no {', '.join(missing)}",
            hint="pip install 'cardiobind[serve]'",
        )  # fmt: skip
    from cardiobind.serve.application import application

    explains = explain if explain is not explain_score or _is_there("captum") else None
    return application(predictor, settings, explain=explains, neighbours=neighbours)


def run(
    bundle: Path | str, *, host: str = "127.0.0.1", port: int = 8000, settings: Settings = _SETTINGS,
    index: Path | str | None = None,
) -> None:  # fmt: skip
    """Serve a bundle until the process is told to stop; requests in work are answered first.

    Args:
        bundle: folder of a bundle.
        host: address to listen at.
        port: at that address.
        settings: limits and API key; without `Settings.hosts` a server on loopback answers to its names there alone.
        index: folder of an index (`cardiobind index`), whose nearest cases each answer shows.

    Raises:
        ConfigError: the extra ``serve`` is not installed, the address cannot be had, or the path of the temporary
            folder is too long.
        ArtifactError, CorruptArtifactError: there is no bundle or index, or a file of it is not what was written.
        DataContractError: the index was made of recordings prepared otherwise.
    """
    from cardiobind import inference
    from cardiobind.serve.pool import check_temporary_folder

    check_temporary_folder()
    private = is_loopback(host)
    if private and not settings.hosts:
        settings = replace(settings, hosts=LOOPBACK)
    predictor = inference.load(bundle)
    app = make_app(predictor, settings, neighbours=None if index is None else nearest_cases(index, predictor))
    _log_to_stderr()
    for line in greeting(predictor.contract.title, host, port, settings):
        print(line, file=sys.stderr, flush=True)  # noqa: T201
    _listen(server_config(app, host, port, settings))


def nearest_cases(index: Path | str, predictor: Predictor) -> Neighbours:
    """Return what finds the nearest cases of an index for a bundle; see `make_app`.

    Raises:
        ArtifactError, CorruptArtifactError: there is no index.
        DataContractError: it was made of recordings prepared otherwise.
    """
    from cardiobind.pipeline.search import neighbours_for, open_index

    found = neighbours_for(open_index(index), predictor.contract)
    return lambda _, prepared: found(prepared)


def greeting(title: str, host: str, port: int, settings: Settings) -> list[str]:
    """Return what a server says as it starts: what, where, and who can reach it."""
    from cardiobind.inference import NOTICE

    shown = f"[{host}]" if ":" in host else host
    lines = [f"{title}: http://{shown}:{port}/", NOTICE]
    if not is_loopback(host):
        lines += [
            f"WARNING: {shown} is not loopback: others on the network can reach this server.",
            "WARNING: it speaks HTTP without encryption; put a proxy with TLS before it.",
        ]
        lines += [] if settings.api_key else ["WARNING: there is no API key: whoever reaches it can use it."]
    return lines


def _is_there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def is_loopback(host: str) -> bool:
    """Tell whether an address is one that only this machine reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def server_config(app: FastAPI, host: str, port: int, settings: Settings) -> Config:
    """Return how uvicorn serves an application of `make_app`."""
    import uvicorn

    from cardiobind.serve.connections import with_deadline

    deadline = with_deadline(settings.header_seconds, app.state.service.metrics)
    return uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, server_header=False, proxy_headers=False,
        ws="none", http=deadline, timeout_graceful_shutdown=STOP_SECONDS,
    )  # fmt: skip


def _listen(config: Config) -> None:
    import uvicorn

    try:
        uvicorn.Server(config).run()
    except SystemExit:
        raise ConfigError(
            "the server cannot start", where=f"{config.host}:{config.port}",
            hint="is the port taken? --port takes another",
        ) from None  # fmt: skip
    except KeyboardInterrupt:
        return


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name, level in (("cardiobind.serve", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = [handler], False
        logger.setLevel(level)
