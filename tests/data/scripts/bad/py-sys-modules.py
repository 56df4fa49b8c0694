import sys

def run(plugin_config, context):
    sys.modules["json"] = None
