"""CompileDatabase(target, objects): writes compile_commands.json for editors, without compiling."""

import json
import os


def _compile_database(env, target, objects):
    entries = [
        {
            "directory": os.getcwd(),
            "file": str(node.sources[0]),
            "arguments": env.CompileCommand(node),
            "output": str(node),
        }
        for node in objects
    ]
    return env.Rendered(target, json.dumps(entries, indent=1) + "\n")


def generate(env):
    env.AddMethod(_compile_database, "CompileDatabase")


def exists(env):
    return True
