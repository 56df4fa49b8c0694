"""The host of a migraine plugin, as a Python script sees it.

Inside a plugin these functions ask the host of the call that runs. Outside, as in an author's own tests, they work on
what this module holds itself: `configure` sets it, `logged` shows it.
"""

from __future__ import annotations

__all__ = ["ExecOutput", "HostError", "config", "configure", "connect", "execute", "log", "logged", "permissions",
           "state", "variables"]
__version__ = "1.0"

import json as _json

_LEVELS = ("error", "warn", "info", "debug", "trace")


class HostError(Exception):
    """The host refused or failed. `kind` is one of `failed`, `permission_denied`, `unsupported`, `invalid`, `cancelled`."""

    def __init__(self, message: str, kind: str = "failed", help: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.help = help


class ExecOutput:
    """What a program printed, and its exit code."""

    def __init__(self, exit_code: int, stdout: str, stderr: str) -> None:
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr


class _Alone:
    """Stands in for the host in an author's tests."""

    def __init__(self) -> None:
        self.config: dict = {}
        self.permissions: list[str] = []
        self.variables: dict[str, str] = {}
        self.values: dict[str, bytes] = {}
        self.lines: list[tuple[str, str]] = []

    def log(self, level: str, message: str) -> None:
        self.lines.append((level, message))

    def service(self, name: str, body: bytes) -> bytes:
        if name == "state.get":
            value = self.values.get(body.decode())
            return b"\0" if value is None else b"\1" + value
        if name == "state.put":
            key, _, value = body.partition(b"\0")
            self.values[key.decode()] = value
            return b""
        if name == "state.delete":
            self.values.pop(body.decode(), None)
            return b""
        if name == "state.keys":
            return _json.dumps(sorted(self.values)).encode()
        if name == "variables":
            return _json.dumps(self.variables).encode()
        raise HostError(f"`{name}` needs a host", "unsupported")

    def descriptor(self, name: str, body: bytes) -> int:
        raise HostError(f"`{name}` needs a host", "unsupported")


# The runner puts the real one in its place.
_host = _Alone()


def configure(config: dict | None = None, permissions: list[str] | None = None,
              variables: dict[str, str] | None = None) -> None:
    """Sets what a test's plugin finds; only outside of a host."""
    if not isinstance(_host, _Alone):
        raise HostError("the host itself says what a plugin finds", "unsupported")
    _host.config = dict(config or {})
    _host.permissions = list(permissions or [])
    _host.variables = dict(variables or {})


def logged() -> list[tuple[str, str]]:
    """The level and text of each line that was logged outside of a host."""
    return list(_host.lines) if isinstance(_host, _Alone) else []


def config() -> dict:
    """The plugin's effective configuration."""
    return dict(_host.config)


def permissions() -> list[str]:
    """The permissions that the plugin has, as they are written in a manifest."""
    return list(_host.permissions)


def log(message: object, level: str = "info") -> None:
    """Logs a line; `level` is one of `error`, `warn`, `info`, `debug`, `trace`."""
    if level not in _LEVELS:
        raise ValueError(f"`{level}` is not one of {', '.join(_LEVELS)}")
    _host.log(level, str(message))


def variables() -> dict[str, str]:
    """The variables of the running workflow; needs `task_read`."""
    return _json.loads(_host.service("variables", b""))


def connect(endpoint: str):
    """A connected `socket.socket` to a granted endpoint, `host:port`, `[ipv6]:port` or `unix:/path`; needs `network`."""
    import socket

    return socket.socket(fileno=_host.descriptor("connect", endpoint.encode()))


def execute(program: str, args: list[str] | tuple[str, ...] = (), *, cwd: str | None = None,
            stdin: str = "") -> ExecOutput:
    """Runs a granted program to its end, in a sandbox of its own; needs `exec`. No shell comes between."""
    request = {"program": program, "args": list(args), "stdin": stdin}
    if cwd is not None:
        request["cwd"] = cwd
    answer = _json.loads(_host.service("exec", _json.dumps(request).encode()))
    return ExecOutput(answer["exit_code"], answer["stdout"], answer["stderr"])


class _State:
    """What the plugin keeps from one run to the next: bytes under names."""

    def get(self, key: str, default: bytes | None = None) -> bytes | None:
        answer = _host.service("state.get", key.encode())
        return answer[1:] if answer[:1] == b"\1" else default

    def put(self, key: str, value: bytes) -> None:
        _host.service("state.put", key.encode() + b"\0" + bytes(value))

    def delete(self, key: str) -> None:
        _host.service("state.delete", key.encode())

    def keys(self) -> list[str]:
        return _json.loads(_host.service("state.keys", b""))


state = _State()
