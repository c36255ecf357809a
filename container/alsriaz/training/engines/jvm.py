"""Spark's JVM as one process of ours: no script and no second JVM in front of it, as Spark's own launcher has.

The class path is the list of Spark's jars in the order of their names. A class-data archive (`class_data`) fits one
JVM and one class path alone, and the order in which a folder is listed differs from one file system to the next.
"""

import importlib.util
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from alsriaz.errors import CallerError

OLDEST_JAVA = 17  # as Spark 4 says
GATEWAY = "org.apache.spark.api.python.PythonGatewayServer"
_OPENED = (
    "java.base/java.lang java.base/java.lang.invoke java.base/java.lang.reflect java.base/java.io java.base/java.net "
    "java.base/java.nio java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic "
    "java.base/jdk.internal.ref java.base/sun.nio.ch java.base/sun.nio.cs java.base/sun.security.action "
    "java.base/sun.util.calendar java.security.jgss/sun.security.krb5"
)
MODULE_OPTIONS = (
    "-XX:+IgnoreUnrecognizedVMOptions",  # the last two are newer than Java 17
    "--add-modules=jdk.incubator.vector",
    *(f"--add-opens={package}=ALL-UNNAMED" for package in _OPENED.split()),
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dio.netty.allocator.type=pooled",
    "-Dio.netty.handler.ssl.defaultEndpointVerificationAlgorithm=NONE",
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
)
"""What Spark's launcher (org.apache.spark.launcher.JavaModuleOptions) would give; a test compares."""
# These would change where Spark writes, or what it computes, behind the spec's back.
INHERITED = ("SPARK_HOME", "SPARK_CONF_DIR", "SPARK_LOCAL_DIRS", "PYSPARK_SUBMIT_ARGS", "PYSPARK_GATEWAY_PORT")
LARGEST_ARCHIVED_HEAP_MB = 32_000  # a larger heap takes wider references, for which no archive of ours is laid out
_POLL_SECONDS = 0.01


class Gateway(NamedTuple):
    """Where the JVM listens, on this machine alone, and the secret that it expects first."""

    port: int
    secret: str


class Jvm:
    """A JVM that waits for Python's calls.

    It ends when its standard input does. The kernel closes that pipe however this process ends, so that no JVM
    outlives it.
    """

    def __init__(self, heap_mb: int, scratch: Path, options: Sequence[str] = ()) -> None:
        """Start it, its log in `scratch`; `gateway` waits until it answers.

        Raises:
            CallerError: there is no Java, or an old one.
        """
        self._address_file = scratch / "gateway"
        command = [
            str(find_java()),
            *MODULE_OPTIONS,
            f"-Xmx{heap_mb}m",
            "-XX:-UsePerfData",  # a file in /tmp that only monitoring tools read
            *options,
            "-cp",
            os.pathsep.join(map(str, spark_jars())),
            GATEWAY,
        ]
        with (scratch / "jvm.log").open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,  # an interrupt from the terminal is for us, we end the JVM
            )

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in INHERITED}
        return inherited | {
            "OPENBLAS_NUM_THREADS": "1",  # Spark's tasks are the threads
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_CONNECT_MODE": "0",
            "_PYSPARK_DRIVER_CONN_INFO_PATH": str(self._address_file),
        }

    def gateway(self) -> Gateway:
        """Wait until the JVM listens.

        The file is Spark's: the port, the secret's length (both 4 bytes, big-endian), the secret. It is renamed into
        place, so it is whole once it is there.

        Raises:
            ChildProcessError: the JVM ended instead; jvm.log has its last words.
        """
        while not self._address_file.exists():
            if self.ended:
                raise ChildProcessError(f"java ended with status {self.process.returncode}")
            time.sleep(_POLL_SECONDS)
        told = self._address_file.read_bytes()
        self._address_file.unlink()
        port, length = struct.unpack_from(">ii", told)
        return Gateway(port, told[8 : 8 + length].decode())

    @property
    def ended(self) -> bool:
        """Tell whether the process is gone, for whatever reason."""
        return self.process.poll() is not None

    def kill(self) -> None:
        """End it at once, whatever it is at."""
        self.process.kill()
        self.finish()

    def finish(self) -> None:
        """Let it end in its own way, and wait for that."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()


def spark_jars() -> list[Path]:
    """Return the jars that pyspark brings, by name, without loading pyspark."""
    spec = importlib.util.find_spec("pyspark")
    folders = (spec.submodule_search_locations if spec else None) or []
    jars = sorted(jar for folder in folders for jar in Path(folder, "jars").glob("*.jar"))
    if not jars:
        raise CallerError("pyspark is not installed, or has no jars: install it with pip, as pyproject.toml says.")
    return jars


def class_data_file() -> Path:
    """Return where this Python environment keeps the classes that Spark needs, made ready; there need not be one."""
    return Path(sys.prefix) / "share" / "alsriaz" / "spark-classes.jsa"


def class_data_options(archive: Path, heap_mb: int) -> list[str]:
    """Return the options that let java use an archive, silently without it where it is missing or doesn't fit."""
    if heap_mb > LARGEST_ARCHIVED_HEAP_MB or not archive.is_file():
        return []
    return [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", "-Xlog:cds*=off", "-Xlog:class+path*=off"]


def find_java() -> Path:
    """Return the java to run: that of JAVA_HOME, else that of PATH.

    Raises:
        CallerError: there is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(str(Path(home) / "bin" / "java")) if home else shutil.which("java")
    wanted = f"Spark needs Java {OLDEST_JAVA} or newer"
    if found is None:
        where = f"JAVA_HOME is {home!r}, but there is no bin/java in it" if home else "there is no java on PATH"
        raise CallerError(f"{wanted}, and {where}: install a JRE, or set JAVA_HOME to one.")
    java = Path(found)
    told = _version_of(java)
    version = re.search(r'"(\d+)(?:\.(\d+))?', told)
    if version and int(version[2] or 1 if version[1] == "1" else version[1]) < OLDEST_JAVA:
        raise CallerError(f"{wanted}, found {told}: install a newer one, or set JAVA_HOME to it.")
    return java


def _version_of(java: Path) -> str:
    """Return a line with the version in quotation marks; from the file that JDKs have for it where there is one.

    Asking java itself takes as long as starting a JVM.
    """
    try:
        release = (java.resolve().parents[1] / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        release = ""
    for line in release.splitlines():
        if line.startswith("JAVA_VERSION="):
            return "java version " + line.partition("=")[2]
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, errors="replace").stderr
    return next((line for line in told.splitlines() if "version" in line), "")
