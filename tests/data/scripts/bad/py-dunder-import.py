def run(plugin_config, context):
    net = __import__("socket")
    return {"output": net.gethostname()}
