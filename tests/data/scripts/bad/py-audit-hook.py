import sys

sys.addaudithook(lambda *event: None)

def run(plugin_config, context):
    return {}
