#!/usr/bin/env python3
"""Reduces the prices of PyPI's genai-prices to genai-prices.json, beside this file.

    pip download --no-deps --dest /tmp/prices genai-prices
    python3 vendor.py /tmp/prices/genai_prices-*.whl

Kept: what a call with known token counts costs at a given time. Not kept: batch and other
request variants, and prices of images, audio, video, characters and searches. The data is a
Python literal of constructor calls; it is read as a syntax tree, and none of it is run.
"""

import ast
import datetime
import json
import sys
import zipfile
from decimal import Decimal
from pathlib import Path

HERE = Path(__file__).parent
PICO_PER_USD = 10**12
RATES = {
    "input_mtok": ("input", 10**6),
    "output_mtok": ("output", 10**6),
    "cache_read_mtok": ("cache_read", 10**6),
    "cache_write_mtok": ("cache_write", 10**6),
    "output_reasoning_mtok": ("reasoning", 10**6),
    "requests_kcount": ("request", 10**3),
}


def main(wheel):
    archive = zipfile.ZipFile(wheel)
    name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
    metadata = dict(
        line.split(": ", 1) for line in archive.read(name).decode().split("\n\n")[0].splitlines()
    )
    if metadata["License-Expression"] != "MIT":
        sys.exit(f"the licence is now {metadata['License-Expression']}: read it before you go on")
    tree = ast.parse(archive.read("genai_prices/data.py"))
    literal = next(node.value for node in tree.body if isinstance(node, ast.AnnAssign))
    table = {
        "version": f"genai-prices {metadata['Version']}",
        "providers": [provider(one) for one in value(literal)],
    }
    # One model a line: a new version's differences can be read.
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).replace('{"id":', '\n{"id":')
    (HERE / "genai-prices.json").write_text(text + "\n")
    licence = next(name for name in archive.namelist() if name.endswith("/LICENSE"))
    (HERE / "LICENSE.genai-prices").write_bytes(archive.read(licence))
    models = sum(len(one["models"]) for one in table["providers"])
    print(f"{table['version']}: {models} models, {len(text)} bytes")


def value(node):
    """The few kinds of expression the data is made of."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -value(node.operand)
    if isinstance(node, ast.List):
        return [value(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {value(key): value(item) for key, item in zip(node.keys, node.values)}
    if isinstance(node, ast.Call):
        constructor = ast.unparse(node.func)
        arguments = [value(argument) for argument in node.args]
        fields = {keyword.arg: value(keyword.value) for keyword in node.keywords}
        known = {
            "Decimal": Decimal,
            "datetime.date": datetime.date,
            "datetime.time": datetime.time,
            "datetime.timezone": datetime.timezone,
            "datetime.timedelta": datetime.timedelta,
        }
        if constructor in known:
            return known[constructor](*arguments, **fields)
        if arguments:
            sys.exit(f"positional arguments of {constructor} are new: teach this script")
        return {"_": constructor, **fields}
    if ast.unparse(node) in ("datetime.UTC", "datetime.timezone.utc"):
        return datetime.timezone.utc
    sys.exit(f"line {node.lineno}: {ast.unparse(node)} is new: teach this script")


def provider(source):
    models = [model(one) for one in source["models"]]
    fields = {
        "id": source["id"],
        "provider_match": clause(source.get("provider_match")),
        "model_match": clause(source.get("model_match")),
        "fallback": source.get("fallback_model_providers"),
        "models": models,
    }
    return {key: field for key, field in fields.items() if field is not None}


def model(source):
    prices = source["prices"]
    if isinstance(prices, dict):
        prices = [{"prices": prices}]
    return {
        "id": source["id"],
        "match": clause(source["match"]),
        "prices": [price(one) for one in prices],
    }


def price(source):
    fields = {}
    constraint = source.get("constraint")
    if constraint and constraint["_"] == "StartDateConstraint":
        start = datetime.datetime.combine(
            constraint["start_date"], datetime.time(), datetime.timezone.utc
        )
        fields["from"] = int(start.timestamp())
    elif constraint and constraint["_"] == "TimeOfDateConstraint":
        fields["daily"] = [
            second_of_day(constraint["start_time"]),
            second_of_day(constraint["end_time"]),
        ]
    elif constraint:
        sys.exit(f"{constraint['_']} is new: teach this script")
    for key, rate in source["prices"].items():
        if key in RATES:
            name, per = RATES[key]
            fields[name] = tiers(rate, per)
    return fields


def second_of_day(time):
    moment = datetime.datetime.combine(datetime.date(1970, 1, 2), time)
    offset = moment.utcoffset() or datetime.timedelta()
    moment = moment.replace(tzinfo=None) - offset
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def tiers(rate, per):
    if isinstance(rate, Decimal):
        return pico(rate, per)
    steps = sorted((tier["start"], pico(tier["price"], per)) for tier in rate["tiers"])
    return {"base": pico(rate["base"], per), "above": [list(step) for step in steps]}


def pico(usd, per):
    """Dollars per `per` units as whole picodollars per unit. A few of the source's prices have
    more digits (thirds, and floating-point dust); none may lose a thousandth of itself."""
    exact = usd * PICO_PER_USD / per
    whole = round(exact)
    if abs(exact - whole) > exact / 1000 or exact < 0:
        sys.exit(f"${usd} per {per} is no whole number of picodollars per unit")
    return whole


def clause(source):
    if source is None:
        return None
    (key, operand), = ((key, operand) for key, operand in source.items() if key != "_")
    key = key.rstrip("_")
    if key in ("or", "and"):
        return {key: [clause(one) for one in operand]}
    if key == "regex":
        return without_lookahead(operand)
    if key not in ("equals", "starts_with", "ends_with", "contains"):
        sys.exit(f"match rule {key} is new: teach this script")
    return {key: operand.lower()}


def without_lookahead(regex):
    """`^(?!A)B` is: not `^A`, and `^B`. Rust's regex has no lookahead, and so is linear."""
    if not regex.startswith("^(?!"):
        if "(?!" in regex or "(?=" in regex or "(?<" in regex:
            sys.exit(f"regex {regex} looks around: teach this script")
        return {"regex": regex}
    depth, end = 0, None
    for index in range(1, len(regex)):
        depth += {"(": 1, ")": -1}.get(regex[index], 0)
        if depth == 0:
            end = index
            break
    refused = {"not": {"regex": "^" + regex[4:end]}}
    rest = regex[end + 1 :]
    return {"and": [refused, {"regex": "^" + rest}]} if rest else refused


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
