def run(plugin_config, context):
    code = compile(context["output"], "x", "exec")
    return code
