"""A process that posts bodies over kept-alive connections, one at a time on each.

It is on the machine that it measures, so it does little: bodies are made before, a request is one
write, an answer one read that is looked at for its status alone.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from array import array
from collections import Counter, deque
from typing import Final

from benchmarks.intake.bodies import EVENTS_A_BODY, bodies, numbered

_TEMPLATES: Final = 500
_ANSWER_BYTES: Final = 4096


class Load:
    """Connections to one server, and what they were answered."""

    def __init__(self, port: int, connections: int, first_number: int) -> None:
        heads = [b"%b%d\r\n\r\n" % (_head(port), len(body)) for body in bodies(_TEMPLATES)]
        self._requests = [h + b for h, b in zip(heads, bodies(_TEMPLATES), strict=True)]
        self._number = first_number
        self._selector = selectors.DefaultSelector()
        self._idle: deque[socket.socket] = deque()
        for _ in range(connections):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection, selectors.EVENT_READ)
            self._idle.append(connection)
        self._due_s: dict[int, float] = {}
        self.statuses: Counter[str] = Counter()
        self.waited_s = array("d")

    def run(self, seconds: float, bodies_per_s: float | None) -> float:
        """Post for so long, at a rate or as fast as answers come; the seconds it took."""
        began_s = time.perf_counter()
        sent, now_s = 0, began_s
        while (now_s := time.perf_counter()) < began_s + seconds:
            due = sent + len(self._idle)
            if bodies_per_s is not None:
                due = min(due, int((now_s - began_s) * bodies_per_s) + 1)
            while sent < due:
                # By the time it was due: what had to wait for a connection has waited too.
                due_s = now_s if bodies_per_s is None else began_s + sent / bodies_per_s
                self._post(self._idle.popleft(), due_s)
                sent += 1
            if bodies_per_s is None or not self._idle:
                self._hear(1.0)
            else:
                self._hear(max(0.0, began_s + sent / bodies_per_s - time.perf_counter()))
        while self._due_s:
            self._hear(10.0)
        return time.perf_counter() - began_s

    def _post(self, connection: socket.socket, due_s: float) -> None:
        self._number += 1
        template = self._requests[self._number % _TEMPLATES]
        self._due_s[connection.fileno()] = due_s
        connection.sendall(numbered(template, self._number))

    def _hear(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)  # noqa: S101 - nothing else is registered
            answer = connection.recv(_ANSWER_BYTES)
            self.waited_s.append(time.perf_counter() - self._due_s.pop(connection.fileno()))
            self.statuses[answer[9:12].decode()] += 1
            if answer:
                self._idle.append(connection)
            else:
                self._selector.unregister(connection)


def _head(port: int) -> bytes:
    return (
        b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
        b"Content-Length: " % port
    )


def _main(port: int, connections: int, seconds: float, rate: float, first_number: int) -> None:
    load = Load(port, connections, first_number)
    took_s = load.run(seconds, rate / EVENTS_A_BODY or None)
    in_order = sorted(load.waited_s)
    kept = load.statuses["204"]
    figures = {
        "events_per_s": kept * EVENTS_A_BODY / took_s,
        "events": kept * EVENTS_A_BODY,
        "p50_ms": in_order[len(in_order) // 2] * 1e3,
        "p99_ms": in_order[int(len(in_order) * 0.99)] * 1e3,
        "cpu_s": time.process_time(),
        "statuses": load.statuses,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:5]), int(sys.argv[5]))
