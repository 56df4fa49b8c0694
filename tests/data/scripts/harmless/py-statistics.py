import statistics

def run(plugin_config, context):
    numbers = [float(word) for word in context["output"].split() if word.isdigit()]
    if not numbers:
        return {"status": "skipped"}
    return {"mean": statistics.mean(numbers), "median": statistics.median(numbers)}
