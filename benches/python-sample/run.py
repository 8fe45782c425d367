"""Hands the events of a file to the function, one after the other, as EventBridge would."""

import json
import sys

from index import handler

with open(sys.argv[1], encoding="utf-8") as file:
    for event in json.load(file):
        handler(event, None)
