#!/usr/bin/env python3
"""Change one byte of a file.   flip.py FILE OFFSET | flip.py FILE TEXT (the first occurrence of TEXT)"""

import sys

path, where = sys.argv[1:3]
with open(path, "r+b") as f:
    offset = int(where) if where.isdigit() else f.read().index(where.encode())
    f.seek(offset)
    byte = f.read(1)[0]
    f.seek(offset)
    f.write(bytes([byte ^ 1]))
