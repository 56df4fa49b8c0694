import urllib.parse

def run(plugin_config, context):
    return {"query": urllib.parse.parse_qs(context["output"])}
