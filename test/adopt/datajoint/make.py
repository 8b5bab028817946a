"""The makes of the laboratory as an outside command: no database, no DataJoint; a line for each key."""

import json
import sys


def scan(reads):
    session = reads["session"]
    fields = [{"field": n, "width": 10 * n} for n in range(2)]
    return {"depth": 1.5 * session["session"], "big": int(session["big"]) + 1, "parts": {"field": fields}}


def scan_score(reads):
    legs = {row["species"]: row["legs"] for row in reads["species"]}
    return {"score": reads["scan"]["depth"] * legs[reads["mouse"]["species"]]}


MAKES = {"lab.scan": scan, "lab.scan_score": scan_score}

for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"rows": MAKES[request["table"]](request["reads"])}))
