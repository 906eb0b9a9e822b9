"""What `import huey` adds to the start of a program, with the drivers installed."""

import subprocess
import sys
import time
from statistics import median

from bench_app import report


def seconds(code):
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


bare, whole = [], []
seconds("import huey")  # writes the bytecode
for _ in range(10):
    bare.append(seconds("pass"))
    whole.append(seconds("import huey"))

report({"import [ms]": (median(whole) - median(bare)) * 1e3})
