"""Counts starts and failures of servers, by the command that starts them."""

import json
import os


def monitor_server(plugin_config: dict, context: dict) -> dict:
    """Record how one command ended that started a server."""
    command = context.get("command", {})
    name = command.get("original", "unknown")
    failed = command.get("exit_code", 0) != 0
    path = plugin_config["status_file"]
    servers = read_status(path)
    server = servers.setdefault(name, {"starts": 0, "failures": 0})
    server["starts"] += 1
    server["failures"] += failed
    server["last"] = context.get("timestamp", "")
    write_status(path, servers)
    state = "failed to start" if failed else "started"
    return {"status": "success", "output": f"`{name}` {state}, {server['starts']} in all"}


def show_status(args: list, invocation: dict) -> dict:
    """Print one line for each server."""
    if args:
        return {"exit_code": 1, "output": "usage: migraine plugin run server-monitor status"}
    servers = read_status(invocation["plugin_config"]["status_file"])
    lines = [f"{name}: {seen['starts']} starts, {seen['failures']} failures" for name, seen in sorted(servers.items())]
    return {"output": "\n".join(lines) or "no server was started"}


def read_status(path: str) -> dict:
    """What was written before; nothing at first."""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write_status(path: str, servers: dict) -> None:
    """Replace the file as a whole, so that a reader never sees half of it."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(servers, file, indent=2, sort_keys=True)
    os.replace(path + ".new", path)
