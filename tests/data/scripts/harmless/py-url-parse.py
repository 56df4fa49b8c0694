from urllib.parse import urlsplit, quote

def run(plugin_config, context):
    parts = urlsplit(plugin_config["url"])
    return {"host": parts.hostname, "path": quote(parts.path)}
