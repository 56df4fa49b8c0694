class Trap:
    def make(self):
        return object.__reduce_ex__(self, 2)

def run(plugin_config, context):
    return {"output": str(Trap().make())}
