# -*- coding: utf-7 -*-
def run(plugin_config, context):
    return {}
