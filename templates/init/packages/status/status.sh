#!/bin/sh
# One line: the system, its version, and whether any unit failed.
set -eu
. /usr/lib/os-release
failed=$(systemctl --failed --plain --no-legend 2>/dev/null | wc -l)
echo "${PRETTY_NAME} ${IMAGE_VERSION:-unreleased}: ${failed} failed units"
