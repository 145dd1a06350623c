#!/bin/sh
# Few of the kills under load; `make crash` makes many.
exec tests/crash/load "$BUILD" 20
