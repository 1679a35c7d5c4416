"""Send events in batches, and look on."""

import threading
from pathlib import Path

from optimizely import optimizely
from optimizely.event.event_processor import BatchEventProcessor

datafile = Path(__file__).with_name("datafile.json").read_text(encoding="utf-8")


class Printer:
    """Prints whose events a batch has instead of sending it."""

    def __init__(self):
        self.batches = threading.Semaphore(0)

    def dispatch_event(self, event):
        """Print a batch."""
        visitors = [visitor["visitor_id"] for visitor in event.params["visitors"]]
        print(f"{event.http_verb} {event.url}: {visitors}")
        self.batches.release()


printer = Printer()
processor = BatchEventProcessor(
    printer, batch_size=3, flush_interval=30, timeout_interval=10, start_on_init=True
)
client = optimizely.Optimizely(datafile, event_processor=processor)
print("running:", processor.is_running)
print("settings:", processor.batch_size, processor.flush_interval, processor.timeout_interval)

for user_id in ("maria", "noor", "li", "kim"):
    client.track("signup", user_id)
print("a full batch went:", printer.batches.acquire(timeout=20))
processor.flush()
print("and the rest, when asked:", printer.batches.acquire(timeout=20))
client.track("signup", "ben")
client.close()
print("running:", processor.is_running)
