"""The image's size and what makes it up, how long it takes to build, and how soon it serves Online Retail's model.

    PYTHONPATH=container:. python benchmarks/image.py --sales ../shared/data/online_retail.csv.gz [--anew]

Only --anew builds without the cache, which takes minutes. The start is timed from `docker run` to the first 200 of
GET /ping through a published port, the median of five, with the rights of a serverless endpoint.
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.image.docker import docker, run
from tests.image.serving_container import InContainer
from tests.serving.serving_process import until_ready

ROOT = Path(__file__).resolve().parents[1]
TAG = "alsriaz-benchmark"
ROUNDS = 5

SITE = "/opt/venv/lib/python*/site-packages"
PARTS = [
    # what, and its folders in the image; what stands in a line before does not count again
    ("Java", "/usr/lib/jvm"),
    ("Spark's classes, ready", "/opt/venv/share/alsriaz"),
    ("Spark's jars", f"{SITE}/pyspark/jars"),
    ("pyspark, its Python", f"{SITE}/pyspark"),
    ("pyarrow", f"{SITE}/pyarrow"),
    ("numpy", f"{SITE}/numpy*"),
    ("pandas", f"{SITE}/pandas"),
    ("other Python packages", "/opt/venv"),
    ("OpenBLAS", "/usr/lib/*/openblas-pthread"),
    ("Python", "/usr/lib/python3*"),
    ("alsriaz", "/opt/program"),
    ("Debian, nginx and the rest", "/"),
]


def main() -> None:
    """Print it all as tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sales", type=Path, required=True, help="what the served model is trained from")
    parser.add_argument("--anew", action="store_true", help="time a build without the cache too")
    arguments = parser.parse_args()
    if arguments.anew:
        print(f"build, nothing cached      {build('--no-cache'):7.1f} s")
    build()
    print(f"build, all cached          {build():7.1f} s")
    print_size()
    with tempfile.TemporaryDirectory() as folder:
        print_start(trained(Path(folder), arguments.sales))


def build(*options: str) -> float:
    """Build the image; return how many seconds that took."""
    began = time.monotonic()
    command = ["docker", "build", "--network", "host", "--tag", TAG, *options, str(ROOT)]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def print_size() -> None:
    """Print the size of the image, of its layers, and of what lies in them."""
    print(f"size                       {int(docker('image', 'inspect', '--format', '{{.Size}}', TAG)) / 1e6:7.0f} MB")
    for line in docker("history", "--format", "{{.Size}}\t{{.CreatedBy}}", TAG).splitlines():
        size, _, made_by = line.partition("\t")
        if size != "0B":
            print(f"  layer {size:>8}  {made_by[:80]}")
    for what, kilobytes in sizes().items():
        print(f"  {what:<26} {kilobytes / 1000:5.0f} MB")


def sizes() -> dict[str, int]:
    """Return the kilobytes of each part; what an earlier line has counted counts there alone."""
    script = "for part; do du -xskc $part | tail -n 1 | cut -f 1; done"
    whole = run(TAG, "bash", "-c", script, "sizes", *(folders for _, folders in PARTS)).stdout.split()
    found = dict(zip((what for what, _ in PARTS), map(int, whole), strict=True))
    found["pyspark, its Python"] -= found["Spark's jars"]
    below_venv = [what for what, folders in PARTS if folders.startswith("/opt/venv/")]
    found["other Python packages"] -= sum(found[what] for what in below_venv)
    found["Debian, nginx and the rest"] -= sum(list(found.values())[:-1])
    return found


def trained(root: Path, sales: Path) -> Path:
    """Train from `sales` in the image."""
    (root / "input" / "data" / "training").mkdir(parents=True)
    shutil.copy(sales, root / "input" / "data" / "training")
    began = time.monotonic()
    done = run(TAG, "train", options=("--volume", f"{root}:/opt/ml"))
    if done.returncode:
        raise SystemExit(done.stderr)
    print(f"train                      {time.monotonic() - began:7.1f} s")
    return root


def print_start(root: Path) -> None:
    """Print how soon the model below `root` is served, and the memory that takes."""
    seconds, memory = [], []
    for _ in range(ROUNDS):
        began = time.monotonic()
        with InContainer(TAG).started(root) as server:
            until_ready(server)
            seconds.append(time.monotonic() - began)
            usage = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", server.container.name)
            memory.append(usage.split(" / ")[0])
    spread = f"{min(seconds):.2f} to {max(seconds):.2f} in {ROUNDS} starts"
    print(f"start to /ping 200         {median(seconds):7.2f} s, {spread}")
    print(f"memory then                {memory[-1]:>9}")


if __name__ == "__main__":
    main()
