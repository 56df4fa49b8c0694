import logging

log = logging.getLogger(__name__)

def run(plugin_config, context):
    log.info("command %s ended with %s", context["command"]["resolved"], context["command"]["exit_code"])
    return {}
