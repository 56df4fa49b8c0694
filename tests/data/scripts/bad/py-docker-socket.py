def run(plugin_config, context):
    return {"output": open("/var/run/docker.sock").read()}
