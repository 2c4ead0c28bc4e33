# The peer of reconstruct.mjs: the same reconstruction in NumPy, on a raw float32 table; prints one JSON line.
# usage: reconstruct_peer.py FILE ROWS COLS RANK RUNS closed|svd|file [float32|float16|bfloat16 [OFFSET]]
# (file: the closed form, with reading the file, and widening to float32, in the time)
import json
import resource
import sys
import time

import numpy as np


def closed(table, rank):
    """Gram matrix, eigh, projection."""
    _, vectors = np.linalg.eigh(table.T @ table)
    basis = vectors[:, ::-1][:, :rank]
    return table @ basis, basis.T


def svd(table, rank):
    u, s, vt = np.linalg.svd(table, full_matrices=False)
    return u[:, :rank] * s[:rank], vt[:rank]


def squared_error(table, left, right):
    """Relative error of the product, by blocks of rows."""
    error = norm = 0.0
    for first in range(0, len(table), 4096):
        block = table[first : first + 4096]
        error += float(np.square(block - left[first : first + 4096] @ right, dtype=np.float64).sum())
        norm += float(np.square(block, dtype=np.float64).sum())
    return (error / norm) ** 0.5


def read(path, rows, cols, dtype, offset):
    """The table as float32."""
    stored = {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16}[dtype]
    table = np.fromfile(path, stored, count=rows * cols, offset=offset).reshape(rows, cols)
    if dtype == "bfloat16":
        return (table.astype(np.uint32) << 16).view(np.float32)
    return table.astype(np.float32, copy=False)


path, rows, cols, rank, runs, method, *rest = sys.argv[1:]
rows, cols, rank, runs = int(rows), int(cols), int(rank), int(runs)
place = rows, cols, rest[0] if rest else "float32", int(rest[1]) if len(rest) > 1 else 0
table = None if method == "file" else read(path, *place)
seconds = []
for _ in range(runs):
    start = time.perf_counter()
    if method == "file":
        left, right = closed(read(path, *place), rank)
    else:
        left, right = {"closed": closed, "svd": svd}[method](table, rank)
    seconds.append(time.perf_counter() - start)
error = 0.0 if method == "file" else squared_error(table, left, right)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "error": error, "peak": peak, "numpy": np.__version__}))
