"""One life of a process that tracks events; what it is to do is its only argument, as JSON.

The first line of the output says that the SDK is up. Once a call has returned its event's marker is
a line, written without a buffer, so that it outlives the process. The last line, of a process that ends by itself, is a JSON object:
what the world did and what the SDK counted.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import time
from typing import Any

from sdks import SDKS, Sdk
from worlds import World

OUTPUT = 1


class Life:
    """What happens from the SDK's start to the process's end."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._world = World(**plan.get("world", {}))
        # Before the SDK's own, and so called after it.
        atexit.register(self._report)
        self._sdk: Sdk = SDKS[plan["sdk"]](plan["url"], plan["options"])
        os.write(OUTPUT, b"up\n")

    def go(self) -> None:
        before = self._plan.get("fork_after", 0)
        self._track(0, before)
        child = os.fork() if before else 0
        if child:
            os.waitpid(child, 0)
        else:
            self._track(before, self._plan["count"])
        if self._plan["end"] == "hold":
            sys.stdin.read()
        if self._plan["end"] != "leave":
            self._sdk.close()

    def _track(self, start: int, stop: int) -> None:
        first, pace_s = self._plan["first"], self._plan["pace_s"]
        track, write, reach = self._sdk.track, os.write, self._world.reach
        for count in range(start, stop):
            reach(count)
            track(first + count)
            write(OUTPUT, b"%d\n" % (first + count))
            if pace_s:
                time.sleep(pace_s)

    def _report(self) -> None:
        report = {**self._world.report(), "stats": self._sdk.stats()}
        os.write(OUTPUT, json.dumps(report).encode() + b"\n")


if __name__ == "__main__":
    life = Life(json.loads(sys.argv[1]))  # kept, so that the SDK is there until the very end
    life.go()
