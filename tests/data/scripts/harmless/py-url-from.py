from urllib import parse

def run(plugin_config, context):
    return {"text": parse.unquote(context["output"])}
