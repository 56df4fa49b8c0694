"""Says to a webhook how a workflow ended."""

import migraine
import webhook_handler


def notify(plugin_config: dict, context: dict) -> dict:
    """Post one message; a webhook that refuses it is a failure."""
    workflow = context.get("workflow", {})
    message = {
        "event": context.get("event", ""),
        "workflow": workflow.get("name", "unknown"),
        "id": workflow.get("id", ""),
        "timestamp": context.get("timestamp", ""),
    }
    endpoint = plugin_config["endpoint"]
    with migraine.connect(endpoint) as connection:
        status = webhook_handler.post(connection, endpoint, plugin_config["path"], message)
    if not 200 <= status < 300:
        raise RuntimeError(f"{endpoint} answered {status}")
    return {"status": "success", "output": f"told {endpoint}: {message['event']}"}
