"""Benchmarks: what Doorward does, beside what this machine can do with nothing of ours in the way.

``python -m bench`` runs all of them, ``python -m bench entries`` one. Everything happens in a
temporary folder (``TMPDIR`` chooses the disk) and on loopback.
"""
