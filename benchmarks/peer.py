"""An environment of its own for the peer, Huey 3.5.4, made once and kept in the cache folder."""

import os
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = ["huey==3.5.4", "redis", "psycopg[binary]"]


def peer_python() -> Path:
    """The interpreter of an environment with the peer; the first call makes it.

    HUEY_PEER_PYTHON names one that exists already.

    Raises:
        subprocess.CalledProcessError: if it cannot be made, for example without a network.
    """
    given = os.environ.get("HUEY_PEER_PYTHON")
    if given:
        return Path(given)
    home = _cache() / f"peer-3.5.4-py{sys.version_info[0]}.{sys.version_info[1]}"
    complete = home / "complete"
    python = home / "bin" / "python"
    if not complete.exists():
        print(f"installing {' '.join(REQUIREMENTS)} into {home} …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        complete.touch()
    return python


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "huey-benchmarks"
