#!/usr/bin/env bash
# Prints the newest Python that everything here runs on; says what to install where there is none.
set -u

usable='import sys, venv, ensurepip; sys.exit(sys.version_info[:2] < (3, 10))'
old_or_bare=""
# A sourced ROS 2 has its bindings for one Python only: the system's.
if [ -n "${ROS_DISTRO:-}" ]; then
    candidates="python3"
else
    candidates="python3.13 python3.12 python3.11 python3.10 python3 python"
fi
for name in $candidates; do
    path=$(command -v "$name") || continue
    if "$path" -c "$usable" 2>/dev/null; then
        echo "$path"
        exit 0
    fi
    version=$("$path" -c 'import platform; print(platform.python_version())' 2>/dev/null) || continue
    old_or_bare="$old_or_bare $path ($version)"
done

{
    echo "EdgeGuard needs Python 3.10 or newer with the venv and ensurepip modules."
    if [ -n "$old_or_bare" ]; then
        echo "Found, but too old or without them:$old_or_bare"
        echo "On Debian and Ubuntu: sudo apt install python3-venv (or python3.X-venv for that version)."
    else
        echo "No Python was found on PATH. On Debian and Ubuntu: sudo apt install python3 python3-venv."
    fi
} >&2
exit 1
