"""A laboratory that DataJoint keeps: test/adopt/datajoint.test.ts has it created, used and looked at by DataJoint itself.

    python lab.py create     schemas, data, and what populate computes of it
    python lab.py session    one more session, which nothing is computed of yet
    python lab.py read       what DataJoint reads, as JSON

The address of the database is in the environment variable DATABASE_URL.
"""

import json
import os
import sys
from urllib.parse import unquote, urlsplit

import datajoint as dj
import numpy as np

url = urlsplit(os.environ["DATABASE_URL"])
instance = dj.Instance(
    host=url.hostname,
    port=url.port,
    user=unquote(url.username),
    password=unquote(url.password),
    use_tls=False,
    backend="postgresql",
    database__name=url.path.lstrip("/"),
)
colony = instance.Schema("colony")
lab = instance.Schema("lab")


@colony
class Species(dj.Lookup):
    definition = """
    # Species that are kept
    species : varchar(24)
    ---
    legs : int16  # how many it walks on
    """
    contents = [("mouse", 4), ("finch", 2)]


@colony
class Mouse(dj.Manual):
    definition = """
    # One animal
    mouse_id : int32  # its number
    ---
    -> [nullable] Species
    sex = 'U' : enum('M', 'F', 'U')  # as seen
    born = null : date
    weight = 20.5 : float64
    chip = null : decimal(20, 4)
    tags = null : json
    trace = null : <blob>
    """


@colony
class Litter(dj.Manual):
    definition = """
    -> Mouse.proj(dam='mouse_id')
    -> Mouse.proj(sire='mouse_id')
    ---
    size : int16
    unique index (size)
    """


@lab
class Session(dj.Manual):
    definition = """
    -> Mouse
    session : int16
    ---
    -> [nullable] Mouse.proj(partner='mouse_id')
    started : datetime
    big : int64
    """


@lab
class Scan(dj.Imported):
    definition = """
    # One scan of a session
    -> Session
    ---
    depth : float64
    big : int64
    """

    class Field(dj.Part):
        definition = """
        -> master
        field : int16
        ---
        width : int32
        """

    def make(self, key):
        big = (Session & key).fetch1("big")
        self.insert1({**key, "depth": 1.5 * key["session"], "big": big + 1})
        self.Field.insert({**key, "field": n, "width": 10 * n} for n in range(2))


@lab
class ScanScore(dj.Computed):
    definition = """
    # How well it went
    -> Scan
    ---
    score : float64  # depth by legs
    """

    def make(self, key):
        legs = ((Species * Mouse) & key).fetch1("legs")
        self.insert1({**key, "score": (Scan & key).fetch1("depth") * legs})


def insert_session(mouse_id, session):
    row = {"mouse_id": mouse_id, "session": session, "started": "2026-01-02 03:04:05", "big": 2**60}
    Session.insert1(row)


def create():
    Mouse.insert1({"mouse_id": 1, "species": "mouse", "chip": "1234567890.1234", "trace": np.arange(5)})
    Mouse.insert1({"mouse_id": 2, "species": "finch", "sex": "F", "tags": {"ring": "blue"}})
    Litter.insert1({"dam": 2, "sire": 1, "size": 4})
    for mouse_id, session in [(1, 1), (1, 2), (2, 1)]:
        insert_session(mouse_id, session)
    Scan.populate()
    ScanScore.populate(reserve_jobs=True)
    return {"datajoint": dj.__version__}


def read():
    return {
        "scores": [[*map(int, list(row.values())[:2]), row["score"]] for row in ScanScore().to_dicts(order_by="KEY")],
        "fields": len(Scan.Field()),
        "trace": [int(each) for each in (Mouse & "mouse_id = 1").fetch1("trace")],
    }


VERBS = {"create": create, "session": lambda: insert_session(2, 7), "read": read}

if __name__ == "__main__":
    print(json.dumps(VERBS[sys.argv[1]]()))
