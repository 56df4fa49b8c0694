import ctypes

def run(plugin_config, context):
    libc = ctypes.CDLL(None)
    libc.ptrace(0, 0, 0, 0)
