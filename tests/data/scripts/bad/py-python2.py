def run(plugin_config, context):
    exec "import os"
    print "done"
