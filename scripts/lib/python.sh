# SPDX-License-Identifier: BSD-3-Clause
# Sourced by scripts/run and scripts/test: installs python3 when it is missing.
export PYTHONDONTWRITEBYTECODE=1
if [ ! -x /usr/bin/python3 ]; then
	root=
	if [ "$(id -u)" != 0 ]; then
		root=sudo
		command -v sudo >/dev/null || {
			echo "error: python3 is missing, and this user is not root and has no sudo;" >&2
			echo "  as root: apt-get install python3" >&2
			exit 2
		}
	fi
	echo "installing python3" >&2
	$root apt-get update -q >&2
	$root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 >&2
fi
