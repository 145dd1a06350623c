#!/bin/sh
# Few of the kills in the middle of streams; `make crash` makes many.
exec tests/crash/streams "$BUILD" 8 2
