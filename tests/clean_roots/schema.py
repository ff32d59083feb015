# Compares objects with the Kubernetes API as its own Python client has it, whose classes are generated from the API's OpenAPI schema.
#
#   schema.py CLASS <YAML       what does not fit is said, and the exit status is 1
#
# The API server ignores a field that it does not know, and so would hide a typing error.
import re
import sys

import yaml
from kubernetes.client import models

PLAIN = {"str": str, "bool": bool, "int": int, "float": (int, float), "object": object}


def made(value, kind, path):
    """The value as the client's class has it, or the end with where it does not fit."""
    each = re.fullmatch(r"list\[(.*)\]", kind)
    if each:
        if not isinstance(value, list):
            sys.exit(f"{path}: is no list")
        return [made(one, each[1], f"{path}[{at}]") for at, one in enumerate(value)]
    pairs = re.fullmatch(r"dict\(str, (.*)\)", kind)
    if pairs:
        if not isinstance(value, dict):
            sys.exit(f"{path}: is no map")
        return {key: made(one, pairs[1], f"{path}.{key}") for key, one in value.items()}
    if kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or (kind == "int" and isinstance(value, bool)):
            sys.exit(f"{path}: is no {kind}: {value!r}")
        return value
    known = getattr(models, kind)
    if not isinstance(value, dict):
        sys.exit(f"{path}: is no {kind}")
    fields = {written: field for field, written in known.attribute_map.items()}
    for key in value:
        if key not in fields:
            sys.exit(f"{path}: {kind} has no field {key}")
    inside = {fields[key]: made(one, known.openapi_types[fields[key]], f"{path}.{key}") for key, one in value.items()}
    try:
        # Refuses what lacks a field that has to be there.
        return known(**inside)
    except ValueError as error:
        sys.exit(f"{path}: {error}")


document = yaml.safe_load(sys.stdin)
made(document, sys.argv[1], sys.argv[1])
