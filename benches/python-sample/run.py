"""Invokes the function with the events of a file, in sequence, as EventBridge does."""

import json
import sys

from index import handler

with open(sys.argv[1], encoding="utf-8") as file:
    for event in json.load(file):
        handler(event, None)
