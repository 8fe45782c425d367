"""Lints templates with cfn-lint or with AWS's cloudformation-validate in one process, for the benchmark.

Usage: index.py cfn-lint|cloudformation-validate FILE...
Prints the core seconds from the start of the process to the end of the first file, the core seconds of all files
after that (the first one again), and the highest level of each file. A linter that raises an exception reports nothing.
"""

import json
import sys
import time

ERRORS, WARNINGS = {"ERROR", "FATAL"}, {"WARN", "WARNING"}


def cfn_lint():
    from cfnlint.config import ConfigMixIn
    from cfnlint.runner import Runner
    from cfnlint.runner.template import run_template_by_file_path

    runner = Runner(ConfigMixIn(regions=["us-east-1"]))

    def levels(file):
        found = run_template_by_file_path(file, runner.config, runner.rules, False)
        return {match.rule.severity.upper() for match in found}

    return levels


def cloudformation_validate():
    from cloudformation_validate import CompositeEngine

    engine = CompositeEngine()
    return lambda file: {found.severity.name for found in engine.validate_template(file).diagnostics}


def highest(file):
    try:
        found = levels(file)
    except Exception as error:
        print(f"{sys.argv[1]}: {file}: {error!r}", file=sys.stderr)
        return "nothing"
    return "error" if found & ERRORS else "warning" if found & WARNINGS else "nothing"


levels = {"cfn-lint": cfn_lint, "cloudformation-validate": cloudformation_validate}[sys.argv[1]]()
files = sys.argv[2:]
highest(files[0])
start = time.process_time()
found = [highest(file) for file in files]
print(json.dumps({"start": start, "seconds": time.process_time() - start, "highest": found}))
