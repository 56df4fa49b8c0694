def run(plugin_config, context):
    return globals()["__builtins__"]["open"]("/etc/hostname").read()
