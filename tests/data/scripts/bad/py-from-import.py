from os import execvp as go

def run(plugin_config, context):
    go("sh", ["sh", "-c", "id"])
