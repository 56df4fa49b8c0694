import os

def run(plugin_config, context):
    getattr(os, "".join(["sys", "tem"]))("id")
