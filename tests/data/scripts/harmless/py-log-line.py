import datetime

def run(plugin_config, context):
    """Write one line for each command."""
    stamp = datetime.datetime.now().isoformat()
    with open(plugin_config.get("log_file", "workflow.log"), "a") as log:
        log.write(f"{stamp} {context.get('command')}\n")
    return {"status": "success"}
