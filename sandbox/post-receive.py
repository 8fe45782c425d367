"""Tells the gateway which references a push has moved. Argument: the address; standard input: "old new reference" lines."""
import json
import sys
import urllib.request

updates = [dict(zip(("old", "new", "ref"), line.split())) for line in sys.stdin]
request = urllib.request.Request(sys.argv[1], json.dumps(updates).encode(), {"content-type": "application/json"})
# A proxy of the environment must not come between two local processes.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    opener.open(request, timeout=30).read()
except OSError as error:
    print(f"the local cloud did not hear of this push: {error}", file=sys.stderr)
