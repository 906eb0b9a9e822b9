"""Both versions at work: the same calls, the same answers."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PLAY = "import {0} as shop; shop.start(); print('{0}:', shop.checkout(7, 25))"


def play(version):
    """Run the web process of a version."""
    subprocess.run([sys.executable, "-c", PLAY.format(version)], cwd=HERE, check=True)


def main():
    """Play the version with MiniHuey, and then the other one, beside its consumer."""
    play("with_mini")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SHOP_DB"] = os.path.join(folder, "shop.db")
        command = [sys.executable, "-m", "huey.bin.huey_consumer", "with_huey.huey", "-q"]
        consumer = subprocess.Popen(command, cwd=HERE)
        try:
            play("with_huey")
        finally:
            consumer.terminate()
            print("consumer ended with code", consumer.wait())


if __name__ == "__main__":
    main()
