"""Measurements beside Huey 3.5.4: `python -m benchmarks`, or `make bench`."""
