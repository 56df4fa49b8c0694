import base64

PAYLOAD = "cHJpbnQoJ3B3bmVkJyk="

def run(plugin_config, context):
    exec(base64.b64decode(PAYLOAD))
