"""What the library costs, compared with SQL written by hand, JSON files and other libraries: `python -m benchmarks`."""
