#!/bin/sh
# A sample of the crash states; `make crash` runs them all.
exec tests/crash/run "$BUILD" sample
