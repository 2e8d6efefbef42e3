"""Speed, side by side with peers, in one run: `python -m utils bench train|decode|data`."""

from utils.bench.data import bench_data
from utils.bench.decode import bench_decode
from utils.bench.table import print_report
from utils.bench.train import bench_train

__all__ = ["bench_data", "bench_decode", "bench_train", "print_report"]
