def run(plugin_config, context:
    return {
