"""Prints an install script as pgspot can read it.

pgspot 0.9.4 gives up at functions with an SQL-standard body (RETURN …, BEGIN ATOMIC …). Their names are looked up
when the script runs, as those of a plain statement are, so the body becomes one; the function keeps its head.

usage: pgspot_input.py SCRIPT
"""

import re
import sys

import pglast

BODY = re.compile(r"\b(?:BEGIN\s+ATOMIC\b(?P<block>.*)\bEND|RETURN\b(?P<value>.*))\s*$", re.S | re.I)
NO_BODY = "AS $body$SELECT 1$body$ SET search_path = pg_catalog, pg_temp"


def readable(statement: str) -> str:
    node = pglast.parse_sql(statement)[0].stmt
    if not isinstance(node, pglast.ast.CreateFunctionStmt) or node.sql_body is None:
        return statement
    body = BODY.search(statement)
    statements = body["block"] or f"SELECT {body['value']}"
    return f"{BODY.sub(NO_BODY, statement)};\n{statements}"


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        for statement in pglast.split(file.read()):
            print(readable(statement) + ";\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
