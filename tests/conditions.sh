#!/bin/sh
# The tests under five conditions that none may depend on: threads, cores, other programs, order.
#
#     sh tests/conditions.sh [PYTHON [ARGUMENTS OF PYTEST]]
#
# One after the other, a quarter of an hour each; prints pytest's closing line of each, and what
# failed. Ends with 1 if anything did.
set -u
cd "$(dirname "$0")/.." || exit 1
python=${1:-python3}
[ $# -gt 0 ] && shift
log=$(mktemp)
busy=""
failed=0

quiet() {
    # shellcheck disable=SC2086
    [ -n "$busy" ] && kill $busy 2>/dev/null
    busy=""
}
trap 'quiet; rm -f "$log"' EXIT
trap 'exit 1' INT TERM

# condition NAME COMMAND...: the command is a run of pytest.
condition() {
    name=$1
    shift
    "$@" >"$log" 2>&1 || {
        failed=1
        grep -E '^(FAILED|ERROR|INTERNALERROR)' "$log"
    }
    printf '%s: %s\n' "$name" "$(tail -n 1 "$log")"
}

condition "one thread" env OMP_NUM_THREADS=1 "$python" -m pytest -q "$@"
condition "two threads" env OMP_NUM_THREADS=2 "$python" -m pytest -q "$@"

if command -v taskset >/dev/null; then
    core=$("$python" -c 'import os; print(min(os.sched_getaffinity(0)))')
    condition "one core" taskset -c "$core" "$python" -m pytest -q "$@"
else
    echo "one core: left out, there is no taskset here"
fi

cores=$("$python" -c 'import os; print(os.cpu_count())')
for _ in $(seq "$cores"); do
    "$python" -c 'while True: pass' &
    busy="$busy $!"
done
# As `make test` does it: several threads that wait for each other would take hours here.
condition "beside a program that keeps all cores busy" \
    env OMP_NUM_THREADS=1 "$python" -m pytest -q -n 2 --dist loadfile "$@"
quiet

seed=$(date +%s)
condition "in random order (--random-order-seed=$seed)" \
    "$python" -m pytest -q --random-order-seed="$seed" "$@"
exit $failed
