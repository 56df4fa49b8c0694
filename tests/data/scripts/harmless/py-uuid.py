import base64
import uuid

def run(plugin_config, context):
    return {"id": str(uuid.uuid4()), "output": base64.b64encode(context["output"].encode()).decode()}
