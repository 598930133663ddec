"""Stands in for ngrok's agent: its log lines and its local API. Started as ``PyngrokConfig.ngrok_path``.

It does what ``mode.json`` beside it says and leaves ``seen.json`` with its arguments and configuration.
"""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

here = Path(sys.argv[0]).parent
mode = json.loads((here / "mode.json").read_text())
config = Path(sys.argv[sys.argv.index("--config") + 1]).read_text() if "--config" in sys.argv else ""
seen = {"argv": sys.argv[1:], "config": config, "session": os.getsid(0) == os.getpid(), "pid": os.getpid()}
(here / "seen.json").write_text(json.dumps(seen))


def say(line: str) -> None:
    print(f"t=2026-11-22T10:00:00+0000 {line}", flush=True)


class Api(BaseHTTPRequestHandler):
    def answer(self, status: int, body: dict) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self) -> None:
        self.answer(200, {"endpoints": []})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (here / "asked.json").write_text(json.dumps({"path": self.path, **asked}))
        if mode.get("refuse"):
            self.answer(mode.get("status", 502), {"details": {"err": mode["refuse"]}})
            return
        url = asked.get("url") or mode.get("url", "https://dev.ngrok-free.app")
        self.answer(201, {"name": asked["name"], "url": url, "upstream": asked["upstream"]})

    def do_DELETE(self) -> None:
        (here / "deleted").write_text(self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


if mode.get("silent"):
    time.sleep(600)
if mode.get("error"):
    say(f'lvl=eror msg="failed to auth" obj=csess err="{mode["error"]}"')
    sys.exit(1)
server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
say(f'lvl=info msg="starting web service" obj=web addr=127.0.0.1:{server.server_address[1]}')
say('lvl=info msg="client session established" obj=csess')
say('lvl=info msg="tunnel session started" obj=tunnels.session')
server.serve_forever()
