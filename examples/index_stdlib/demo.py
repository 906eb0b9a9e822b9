"""Index Python's own library in the background, right through a kill -9 of the consumer."""

import collections
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent


def main():
    """Enqueue a task per file, kill the consumer in the middle, and settle the account."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="huey-demo-") as folder:
        os.environ["INDEX_DB"] = os.path.join(folder, "index.db")
        os.environ["INDEX_RUNS"] = os.path.join(folder, "runs.log")
        from tasks import huey, index_file

        files = sorted(str(path) for path in Path(sysconfig.get_path("stdlib")).rglob("*.py"))
        files = [path for path in files if "site-packages" not in path]
        results = index_file.map(files)
        print(f"{len(results)} tasks enqueued, one per file of Python {sys.version.split()[0]}.")

        consumer = start_consumer()
        wait_until(huey, results, share=0.4)
        consumer.send_signal(signal.SIGKILL)
        consumer.wait()
        print("\nThe consumer was killed with SIGKILL. Starting another one.")
        consumer = start_consumer()
        wait_until(huey, results, share=1.0)
        consumer.send_signal(signal.SIGINT)
        consumer.wait()

        report([result.get_raw_result() for result in results])
        runs = collections.Counter(Path(os.environ["INDEX_RUNS"]).read_text().splitlines())
        return account(results, runs, time.monotonic() - began)


def start_consumer():
    """Start a consumer with four worker threads, as a process of its own."""
    command = [sys.executable, "-m", "huey.bin.huey_consumer", "tasks.huey", "-w", "4", "-q"]
    return subprocess.Popen(command, cwd=HERE)


def wait_until(huey, results, share):
    """Wait until a share of the tasks has a result; the periodic task shows the progress."""
    patience = time.monotonic() + 120
    while huey.result_count() < len(results) * share and time.monotonic() < patience:
        time.sleep(0.1)


def report(values):
    """Say what the tasks have found."""
    done = [value for value in values if isinstance(value, dict)]
    longest = max((value["longest"], value["path"]) for value in done if value["longest"])
    imports = collections.Counter(name for value in done for name in value["imports"])
    print("\n\nThe report")
    print(f"  tokens            {sum(value['tokens'] for value in done):,}")
    print(f"  functions         {sum(value['functions'] for value in done):,}")
    print(f"  longest function  {longest[0][1]}(), {longest[0][0]} lines, {Path(longest[1]).name}")
    print("  most imported     " + ", ".join(name for name, _ in imports.most_common(5)))


def account(results, runs, seconds):
    """Say what became of every task; the exit status is 1 if one was lost."""
    finished = sum(result.is_ready() for result in results)
    lost = len(results) - finished
    print("\nThe account")
    print(f"  enqueued   {len(results)}")
    print(f"  finished   {finished}")
    print(f"  run twice  {sum(count > 1 for count in runs.values())}")
    print(f"  lost       {lost}")
    print(f"  seconds    {seconds:.1f}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
