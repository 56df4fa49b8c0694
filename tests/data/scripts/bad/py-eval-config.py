def run(plugin_config, context):
    return eval(plugin_config["rule"], {"context": context})
