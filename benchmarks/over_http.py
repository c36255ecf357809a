"""Requests a second through nginx and gunicorn: task `recommend` beside a Flask application that answers a constant.

    PYTHONPATH=container:. python benchmarks/over_http.py [--rounds 5] [--seconds 5] [--connections 16] [--workers 2]

The model is random, of 5,000 customers x 3,665 items x 64 factors; each request asks for 10 items for another customer.
The constant is as long as such an answer, and is served by `constant_app.py` on the very same stack: serve's own
supervisor, its nginx, its gunicorn with the default threads. Both write their log to a file. `wrk`, which Debian has as
a package of that name, keeps its connections and sends as fast as answers come, from the same machine; the two servers
take turns, round by round. Prints the medians over the rounds, the CPU time that all processes of a server took for a
request, and the ratios of ours to the constant. Of all these the CPU time is disturbed least by what else the machine
does.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.many_rules import CUSTOMERS, random_model, write
from tests.serving.serving_process import Server, descendants, running_server

K = 10
JSON = {"Content-Type": "application/json"}
CONSTANT = (sys.executable, str(Path(__file__).with_name("constant_app.py")))

# 7919 is prime to the number of customers: all of them get their turn.
SCRIPT = """
local n = 0
local headers = {["Content-Type"] = "application/json"}
request = function()
  n = (n + 7919) %% %(customers)d
  return wrk.format("POST", "/invocations", headers, string.format('{"customer": "c%%06d", "k": %(k)d}', n))
end
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("\\n%%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


class Round(NamedTuple):
    """What one server did in one round."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each server in each round")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--items", type=int, default=3_665)
    options = parser.parse_args()
    wrk = shutil.which("wrk")
    if wrk is None:
        parser.error("wrk is missing, which sends the requests: apt-get install wrk")
    with tempfile.TemporaryDirectory() as root:
        script = Path(root, "ask.lua")
        script.write_text(SCRIPT % {"customers": CUSTOMERS, "k": K}, encoding="utf-8")
        write(random_model(np.random.default_rng(7), options.items), Path(root, "model"))
        environ = {"ALSRIAZ_ML_ROOT": root, "ALSRIAZ_WORKERS": str(options.workers)}
        with running_server(environ) as ours:
            with running_server(environ | {"CONSTANT_ANSWER": one_answer(ours)}, command=CONSTANT) as constant:
                command = [wrk, "-t1", f"-c{options.connections}", f"-d{options.seconds}s", "-s", str(script)]
                servers = {"recommend": ours, "constant": constant}
                for server in servers.values():
                    asked_by(command, server)  # the first requests of a worker are slower
                rounds = [
                    {name: asked_by(command, one) for name, one in servers.items()} for _ in range(options.rounds)
                ]
    report(rounds)


def one_answer(server: Server) -> str:
    """Return the answer to one of the requests, whose length all others have but for a few digits."""
    answer = server.request("POST", "/invocations", json.dumps({"customer": "c000000", "k": K}), JSON)
    assert len(answer.json()["recommendations"]) == K, answer.body  # noqa: S101 - or the figures mean nothing
    return answer.body.decode()


def asked_by(command: list[str], server: Server) -> Round:
    """Let wrk ask a server for as long as `command` says."""
    before = cpu_seconds(server)
    done = subprocess.run([*command, f"http://127.0.0.1:{server.port}"], capture_output=True, text=True, check=True)
    requests, microseconds, p50, p99, errors = map(int, done.stdout.split("\n")[-2].split())
    assert requests and not errors, done.stdout + server.log()[-2000:]  # noqa: S101 - or the figures mean nothing
    cpu_ms = (cpu_seconds(server) - before) / requests * 1000
    return Round(requests / microseconds * 1e6, p50 / 1000, p99 / 1000, cpu_ms)


def cpu_seconds(server: Server) -> float:
    """Return the CPU time that the living processes of a server have taken: supervisor, nginx and gunicorn."""
    ticks = 0
    for pid in (server.process.pid, *descendants(server.process.pid)):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime
    return ticks / os.sysconf("SC_CLK_TCK")


def report(rounds: list[dict[str, Round]]) -> None:
    for name in rounds[0]:
        per_second, p50, p99, cpu = (
            statistics.median(each) for each in zip(*(one[name] for one in rounds), strict=True)
        )
        print(f"{name:10} {per_second:7,.0f} requests/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   CPU {cpu:6.3f} ms")
    for what, field in (("requests/s", "per_second"), ("CPU", "cpu_ms")):
        ratios = sorted(getattr(one["recommend"], field) / getattr(one["constant"], field) for one in rounds)
        middle, least, most = statistics.median(ratios), ratios[0], ratios[-1]
        print(f"recommend / constant, {what:10} {middle:.3f}, {least:.3f} to {most:.3f} in {len(ratios)} rounds")


if __name__ == "__main__":
    main()
