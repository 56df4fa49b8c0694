import migraine
from typing import Any

def run(plugin_config: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    migraine.log("seen")
    return {"status": "success"}
