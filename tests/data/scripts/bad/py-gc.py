import gc

def run(plugin_config, context):
    return [thing for thing in gc.get_objects() if isinstance(thing, dict)][:1]
