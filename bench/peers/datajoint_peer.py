"""
DataJoint's side of `npm run bench -- peers`: does what it is told on stdin and answers on stdout, a JSON value a line.

| it is told                                  | it answers                                        |
| ------------------------------------------- | ------------------------------------------------- |
| {"do": "versions"}                          | {"datajoint": ..., "python": ..., "psycopg2": ...} |
| {"do": "declare"}                           | {} : the tables of populate are there, empty      |
| {"do": "populate", "way": "reading"}        | {"ms": ..., "computed": ...}                      |
| {"do": "declare_chain", "chain": "plain"}   | {} : 21 tables are there, empty                   |
| {"do": "cascade", "chain": ..., "where": ...} | {"ms": ..., "tables": ..., "rows": ...}          |

The address of the database is in the environment variable VARVE_BENCH_URL. Each schema has a connection of its own,
because DataJoint loads the foreign keys of every schema that a connection has activated.
"""

import json
import os
import platform
import sys
import time
from urllib.parse import unquote, urlsplit

import datajoint as dj
import psycopg2

CHAIN_TABLES = 21


def connect():
    url = urlsplit(os.environ["VARVE_BENCH_URL"])
    return dj.Instance(
        host=url.hostname,
        port=url.port,
        user=unquote(url.username),
        password=unquote(url.password),
        use_tls=False,
        backend="postgresql",
        database__name=url.path.lstrip("/"),
    )


def open_lab():
    """One entered table, and a computed table for each way to write a make."""
    schema = connect().Schema("peer_datajoint")

    @schema
    class Source(dj.Manual):
        definition = """
        id : int32
        ---
        value : int32
        """

    @schema
    class Constant(dj.Computed):
        definition = """
        -> Source
        ---
        value : int32
        """

        def make(self, key):
            self.insert1({**key, "value": 1})

    @schema
    class Reading(dj.Computed):
        definition = """
        -> Source
        ---
        value : int32
        """

        def make(self, key):
            self.insert1({**key, "value": (Source & key).fetch1("value") + 1})

    @schema
    class Handle(dj.Computed):
        definition = """
        -> Source
        ---
        value : int32
        """

        def make(self, key):
            self.insert1({**key, "value": self.upstream[Source].fetch1("value") + 1})

    return {"constant": Constant, "reading": Reading, "handle": Handle}


# What each shape of chain has beside its first table: a foreign key beside the key, or one that is the key.
LINKS = {
    "plain": "id : int32\n---\n-> {parent}.proj(p='id')\nindex(p)",
    "inherited": "-> {parent}\n---\nvalue : int32",
}


def open_chain(shape):
    """Each table refers to the one before; the first is the start of the walk."""
    schema = connect().Schema(f"peer_chain_{shape}")
    classes = {}
    for at in range(CHAIN_TABLES):
        name = f"Link{at:02d}"
        definition = "id : int32\n---\nvalue : int32" if at == 0 else LINKS[shape].format(parent=f"Link{at - 1:02d}")
        classes[name] = schema(type(name, (dj.Manual,), {"definition": definition}), context=dict(classes))
    return classes


class Peer:
    def __init__(self):
        self.lab = None
        self.chains = {}

    def versions(self):
        return {
            "datajoint": dj.__version__,
            "python": platform.python_version(),
            "psycopg2": psycopg2.__version__.split(" ")[0],
        }

    def declare(self):
        self.lab = open_lab()
        # Asked for here, so that the table of jobs is made before anything is measured.
        len(self.lab["reading"].jobs)
        return {}

    def populate(self, way):
        table = self.lab["reading" if way == "jobs" else way]
        started = time.perf_counter()
        done = table.populate(reserve_jobs=way == "jobs")
        elapsed = time.perf_counter() - started
        if done["error_list"]:
            raise RuntimeError(f"{len(done['error_list'])} keys failed")
        return {"ms": elapsed * 1000, "computed": done["success_count"]}

    def declare_chain(self, chain):
        self.chains[chain] = open_chain(chain)
        return {}

    def cascade(self, chain, where):
        start = self.chains[chain]["Link00"]
        started = time.perf_counter()
        counts = dj.Diagram.cascade(start & where).counts()
        elapsed = time.perf_counter() - started
        return {"ms": elapsed * 1000, "tables": len(counts), "rows": sum(counts.values())}


def main():
    verbs = ("versions", "declare", "populate", "declare_chain", "cascade")
    peer = Peer()
    for line in sys.stdin:
        task = json.loads(line)
        verb = task.pop("do")
        if verb not in verbs:
            raise ValueError(f"unknown task {verb!r}")
        print(json.dumps(getattr(peer, verb)(**task)), flush=True)


if __name__ == "__main__":
    main()
