"""First values of golden runs, which JavaScript repeats to the bit: `formula` of bench/cases.ts."""
import numpy as np


def formula(tensor, length, scale):
    """`length` float32 numbers within `scale` of 0, by an integer hash of (tensor, element)."""
    i = np.arange(length, dtype=np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    h = (i * np.uint64(2654435761) + np.uint64(tensor * 40503 + 12345)) & mask
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(2246822519)) & mask
    h ^= h >> np.uint64(13)
    return (((h % np.uint64(20001)).astype(np.float64) - 10000) / 10000 * scale).astype(np.float32)
