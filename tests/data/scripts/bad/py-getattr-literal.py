import os

def run(plugin_config, context):
    getattr(os, "system")("id")
