"""Poll a datafile, and notice a new one. The server here stands for the one that has yours."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from optimizely import optimizely
from optimizely.config_manager import PollingConfigManager
from optimizely.event.event_processor import ForwardingEventProcessor
from optimizely.helpers.enums import NotificationTypes
from optimizely.notification_center import NotificationCenter

datafile = json.loads(Path(__file__).with_name("datafile.json").read_text(encoding="utf-8"))


class Datafiles(BaseHTTPRequestHandler):
    """Serves the datafile as it is now."""

    def do_GET(self):
        """Answer with the datafile."""
        body = json.dumps(datafile).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        asked.add(self.path)

    def log_message(self, *args):
        """Say nothing."""


class Nowhere:
    """Sends nothing."""

    def dispatch_event(self, event):
        """Take an event."""


asked = set()
server = ThreadingHTTPServer(("127.0.0.1", 0), Datafiles)
threading.Thread(target=server.serve_forever, daemon=True).start()

updated = threading.Event()
center = NotificationCenter()
center.add_notification_listener(NotificationTypes.OPTIMIZELY_CONFIG_UPDATE, updated.set)
manager = PollingConfigManager(
    sdk_key="shop-key",
    url_template=f"http://127.0.0.1:{server.server_port}/datafiles/{{sdk_key}}.json",
    update_interval=0.1,
    blocking_timeout=20,
    notification_center=center,
)
client = optimizely.Optimizely(
    config_manager=manager,
    notification_center=center,
    event_processor=ForwardingEventProcessor(Nowhere()),
)

print("variation:", client.create_user_context("maria").decide("checkout").variation_key)
print("revision:", manager.get_config().revision, "key:", manager.get_sdk_key())
print("told of it:", updated.wait(20))

updated.clear()
datafile["revision"] = "13"
datafile["experiments"][0]["trafficAllocation"] = [{"entityId": "611", "endOfRange": 10000}]
print("told of another:", updated.wait(20))
print("variation:", client.create_user_context("maria").decide("checkout").variation_key)
print("revision:", manager.get_config().revision, "asked for:", sorted(asked))
print("polling:", manager.is_running)
client.close()
server.shutdown()
server.server_close()
