"""Makes of test/pipeline/command.test.ts: what is told on stdin decides what happens."""

import json
import os
import subprocess
import sys
import time


def make(request):
    scan = request["reads"]["scan"]
    text = scan["text"]
    if text == "raise":
        raise ValueError("no such thing")
    if text == "status":
        print("first line", file=sys.stderr)
        print("the disk of the microscope is full", file=sys.stderr)
        sys.exit(3)
    if text == "nothing":
        return None
    if text == "words":
        print("hello")
        return None
    if text == "nan":
        return {**row(scan), "half": float("nan")}
    if text == "wrong":
        return {**row(scan), "half": "much"}
    if text == "other key":
        return {**row(scan), "id": "1"}
    if text == "sleep":
        # A child of its own, which must end with it.
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        with open(os.environ["CHILD_FILE"], "w", encoding="utf8") as file:
            file.write(str(child.pid))
        time.sleep(600)
    print("made one", file=sys.stderr)
    return row(scan)


def row(scan):
    """Its own arithmetic on exact numbers, so that a lost digit shows."""
    return {
        "big": int(scan["id"]) + 1,
        "price": scan["price"],
        "half": scan["depth"] / 2,
        "bytes": scan["bytes"] + "ff",
        "day": scan["day"],
        "pid": os.getpid(),
        "parts": {"piece": [{"n": n, "twice": int(scan["id"]) * 2} for n in range(2)]},
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["lines"]:
        for line in sys.stdin:
            try:
                answer = {"rows": make(json.loads(line))}
            except ValueError as error:
                answer = {"error": str(error)}
            if answer["rows" if "rows" in answer else "error"] is not None:
                print(json.dumps(answer))
    else:
        made = make(json.load(sys.stdin))
        if made is not None:
            json.dump(made, sys.stdout)
