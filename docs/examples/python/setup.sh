#!/bin/sh
# Makes a virtual environment with the pinned packages and the stubs made from proto/.
#
# Usage: setup.sh FOLDER [requirements file ...]
#
# Packages come from PyPI, or from where pip is told (PIP_INDEX_URL, PIP_NO_INDEX, PIP_FIND_LINKS).
# A folder that was made by the same script from the same files is left alone.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
proto="$here/../../../proto"
folder=${1:?"usage: setup.sh FOLDER [requirements file ...]"}
shift
python=${PYTHON:-python3}

fail() {
    echo "setup.sh: $1" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 || fail "$python is not there: install Python 3.10 or later"

# What the environment is made from: when nothing of it has changed, nothing has to be done.
stamp=$("$python" - "$0" "$here/requirements.txt" "$proto/quittance/agent/v1/agent.proto" "$@" <<'END'
import hashlib, pathlib, sys
files = b"".join(pathlib.Path(name).read_bytes() for name in sys.argv[1:])
print(sys.version.split()[0], hashlib.sha256(files).hexdigest())
END
)
if [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi

rm -rf "$folder"
"$python" -m venv "$folder" ||
    fail "no virtual environment can be made: install venv (on Debian: apt-get install python3-venv)"

wanted="--requirement $here/requirements.txt"
for file in "$@"; do
    wanted="$wanted --requirement $file"
done
# shellcheck disable=SC2086 # a list of words
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: $wanted ||
    fail "pip cannot install the packages of $wanted: is PyPI, or the index that pip is told to use, in reach?"

mkdir "$folder/stubs"
"$folder/bin/python" -m grpc_tools.protoc --proto_path="$proto" \
    --python_out="$folder/stubs" --pyi_out="$folder/stubs" --grpc_python_out="$folder/stubs" \
    "$proto/quittance/agent/v1/agent.proto"
# So that the environment's Python finds them.
site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$(cd "$folder/stubs" && pwd)" > "$site/quittance_stubs.pth"

echo "$stamp" > "$folder/stamp"
