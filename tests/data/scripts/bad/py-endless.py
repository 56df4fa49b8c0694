def run(plugin_config, context):
    while True:
        pass
