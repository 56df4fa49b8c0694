class Handler:
    def __init__(self, config):
        self.config = dict(config)

    def __call__(self, context):
        return {name: getattr(self, name, None) for name in ("config",)}

def run(plugin_config, context):
    return Handler(plugin_config)(context)
