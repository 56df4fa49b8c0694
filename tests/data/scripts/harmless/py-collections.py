import collections
import itertools
import operator

def run(plugin_config, context):
    words = collections.Counter(context["output"].split())
    top = sorted(words.items(), key=operator.itemgetter(1), reverse=True)
    return {"top": list(itertools.islice(top, 3))}
