from multiprocessing import Process

def run(plugin_config, context):
    Process(target=print).start()
