import pickle

def run(plugin_config, context):
    return pickle.loads(bytes.fromhex(context["output"]))
