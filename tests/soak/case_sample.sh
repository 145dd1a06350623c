#!/bin/sh
# A minute of it; `make soak` takes half an hour.
exec tests/soak/serve "$BUILD" 60
