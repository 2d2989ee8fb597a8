#!/usr/bin/env bash
# Runs every test: server, engines, embedded model, dashboard, browser, faults, container. Does its own set-up.
#   ./test.sh            everything
#   ./test.sh server engines chat browser faults memory dashboard container   only these parts
#   ./test.sh gpu        what needs an NVIDIA GPU; not part of everything
# Ends with one line "tests: N passed, M failed"; the exit status is non-zero when anything failed. Up to three tests of a
# part that failed are tried once more, alone; what passes then is named at the end (doc/decisions/0024).
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/scripts/setup.sh"
cd "$root" || exit 1
parts=${*:-server engines chat browser faults memory dashboard container}
results=$(mktemp -d)
runs=()
trap 'kill "${runs[@]}" 2>/dev/null; rm -rf "$results"' EXIT
most_again=3
export PYTHONPYCACHEPREFIX=${PYTHONPYCACHEPREFIX:-$ENVIRONMENTS_DIR/bytecode}
unset PYTHONDONTWRITEBYTECODE

dev=$(environment dev "$root/backend/requirements/dev.txt") || exit 1
python=$dev/bin/python
# count N_PASSED N_FAILED N_SKIPPED N_AGAIN; into a file, since parts may run beside each other. Passed at the second try
# is passed, and counted once more as that.
count() { echo "${1:-0} ${2:-0} ${3:-0} ${4:-0}" >> "$results/counts"; }

# part NAME COMMAND…: run it, show its output, remember its status.
part() {
  local name=$1 begun=$SECONDS status
  shift
  say "── $name"
  "$@" 2>&1 | tee "$results/$name.log"
  status=${PIPESTATUS[0]}
  say "── $name took $((SECONDS - begun)) s, status $status"
  # What pytest, vitest and playwright say of a failure, for the end: there it is found.
  [ "$status" -eq 0 ] || { echo "── $name"; grep -E '^(FAILED|ERROR) |^E  |^ +[0-9]+\) |Error: |✗|×' "$results/$name.log" | head -n 40; } > "$results/$name.failed"
  return "$status"
}

# number_of NAME WORD [PATTERN]: "3 failed, 20 passed, 1 skipped" as pytest, vitest and playwright print it, taken from
# those of the last lines that have the pattern.
number_of() { tail -n 15 "$results/$1.log" | sed 's/\x1b\[[0-9;]*m//g' | grep -E "${3:-.}" | grep -oE "[0-9]+ $2" | tail -n 1 | grep -oE '^[0-9]+' || echo 0; }

# With --numprocesses N as many files at a time, each in one process: much of what the tests do is waiting. In the order
# of tests/conftest.py, so that no long file begins when the others end.
by_file=(--dist loadfile --no-loadscope-reorder)

# again NAME N_FAILED CLOSING COMMAND…: whether few enough failed to try those once more, and all of them passed then.
again() {
  local name=$1 failed=$2 closing=$3
  shift 3
  [ "$failed" -le "$most_again" ] && part "$name-again" "$@" || return 1
  [ "$(number_of "$name-again" passed "$closing")" -ge "$failed" ] || return 1
  mv "$results/$name.failed" "$results/$name.raced"
}

# judge NAME STATUS CLOSING NAMED COMMAND…: count what a part's closing lines (with CLOSING) say. Where each failure is a
# test that is named (on a line with NAMED; a part that was cut short names fewer), COMMAND may try those again.
judge() {
  local name=$1 status=$2 closing=$3 named=$4 passed bad again=0
  shift 4
  passed=$(number_of "$name" passed "$closing")
  bad=$(($(number_of "$name" failed "$closing") + $(number_of "$name" error "$closing")))
  # A run that ended badly without naming a failed test is a failure all the same.
  if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
    bad=1
  elif [ "$status" -eq 1 ] && [ "$(grep -cE "$named" "$results/$name.log")" -eq "$bad" ] && again "$name" "$bad" "$closing" "$@"; then
    again=$bad passed=$((passed + bad)) bad=0
  fi
  count "$passed" "$bad" "$(number_of "$name" skipped "$closing")" "$again"
}

# python_tests NAME PYTHON PATH…: one pytest run.
python_tests() {
  local name=$1 interpreter=$2
  shift 2
  set -- "$interpreter" -m pytest -q --color=no --durations=8 -o "cache_dir=$results/$name.cache" "$@"
  part "$name" "$@"
  judge "$name" $? ' in [0-9.]+s' '^(FAILED|ERROR) [^ ]+::' "$@" --last-failed --numprocesses 0
}

# check NAME COMMAND…: a check that counts as one test.
check() { if part "$@"; then count 1 0; else count 0 1; fi; }

image_python() {
  PYTHONPATH=$root/backend "$python" -m atelier worker-env image > "$results/image-env" || return 1
  printf '%s/bin/python' "$(tail -n 1 "$results/image-env")"
}

# What chat models run in on a machine without a GPU. One that cannot be built counts as a failure.
chat_environments() {
  local name
  for name in chat-cpu chat-transformers; do
    PYTHONPATH=$root/backend "$python" -m atelier worker-env "$name" >/dev/null || count 0 1
  done
}

# Laid beside the image environment, never into it: the product's environment stays what its list says.
engine_test_tools() {
  local list=$root/backend/requirements/engine-tests.txt folder
  folder=$ENVIRONMENTS_DIR/engine-tests-$(hash_of "$list")
  if [ ! -d "$folder" ]; then
    rm -rf "$folder.building-$$"
    "$base_python" -m pip install --quiet --disable-pip-version-check --target "$folder.building-$$" -r "$list" >&2 || return 1
    mv -T "$folder.building-$$" "$folder" 2>/dev/null || rm -rf "$folder.building-$$"
  fi
  printf '%s' "$folder"
}

# engine_tests NAME PATH…: with the engine environment's Python.
engine_tests() {
  local interpreter beside name=$1
  shift
  if interpreter=$(image_python) && beside=$(engine_test_tools); then
    PYTHONPATH=$root/backend:$root/backend/tests:$beside OMP_NUM_THREADS=1 python_tests "$name" "$interpreter" "$@"
  else
    say "The image environment could not be built."
    count 0 1
  fi
}

browser_tests() {
  local run=(npm --prefix frontend run --silent e2e)
  part browser "${run[@]}"
  judge browser $? '^ +[0-9]+ (passed|failed|skipped|did not run)' '^ +[0-9]+\) .*\.spec\.ts:' "${run[@]}" -- --last-failed
}

# The headless shell is the same browser without windows of its own, which nobody sees here and which cost a tenth.
find_chromium() {
  local name
  for name in ${CHROMIUM_PATH:-} chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" 2>/dev/null && return
  done
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "Installing Chromium for the browser tests …"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } >/dev/null 2>&1
    command -v chromium 2>/dev/null && return
  fi
  die "The browser tests need Chromium. Install it (on Debian: apt install chromium) or set CHROMIUM_PATH."
}

run_part() {
  case $1 in
    server)
      image_python >/dev/null # the doors of other APIs are tried with the real engines too
      chat_environments
      connectors=$(environment connectors "$root/backend/requirements/connectors.txt") || exit 1
      export ATELIER_CONNECTORS_PYTHON=$connectors/bin/python
      python_tests server "$python" "${by_file[@]}" --numprocesses 5 backend/tests --ignore=backend/tests/engines --ignore=backend/tests/embedded \
        --ignore=backend/tests/faults --ignore=backend/tests/gpu --ignore=backend/tests/container \
        --ignore=backend/tests/chat_engines
      ;;
    engines) engine_tests engines "${by_file[@]}" --numprocesses 3 backend/tests/engines backend/tests/embedded ;;
    chat)
      # Alone: engines that start take both cores, and spoil what others measure.
      chat_environments
      connectors=$(environment connectors "$root/backend/requirements/connectors.txt") || exit 1
      export ATELIER_CONNECTORS_PYTHON=$connectors/bin/python
      python_tests chat "$python" --dist loadscope --numprocesses 2 backend/tests/chat_engines
      ;;
    gpu) engine_tests gpu backend/tests/gpu ;;
    dashboard)
      PATH=$(node_folder):$PATH
      dashboard_packages
      check dashboard-types npm --prefix frontend run --silent typecheck
      check dashboard-lint npm --prefix frontend run --silent lint
      check dashboard-api npm --prefix frontend run --silent generate:check
      part dashboard npm --prefix frontend run --silent test || [ "$(number_of dashboard failed Tests)" -gt 0 ] || count 0 1
      count "$(number_of dashboard passed Tests)" "$(number_of dashboard failed Tests)" "$(number_of dashboard skipped Tests)"
      ;;
    browser)
      PATH=$(node_folder):$PATH
      CHROMIUM_PATH=$(find_chromium) || exit 1
      export CHROMIUM_PATH ATELIER_PYTHON=$python
      build_dashboard
      dashboard_packages
      image_python >/dev/null
      browser_tests
      ;;
    faults)
      image_python >/dev/null
      # Test by test: a few of them take a third of the whole each, and hardly any share anything.
      python_tests faults "$python" --dist load --maxschedchunk 1 --numprocesses 4 backend/tests/faults --ignore=backend/tests/faults/test_memory_budget.py
      ;;
    memory)
      # What a worker holds of its own is measured: nothing else may map the same libraries meanwhile.
      image_python >/dev/null
      python_tests memory "$python" backend/tests/faults/test_memory_budget.py
      ;;
    container)
      PATH=$(node_folder):$PATH
      python_tests container "$python" backend/tests/container
      ;;
    *) die "There is no part $1. Parts: server engines chat browser faults memory dashboard container gpu" ;;
  esac
}

# The memory tests take one core, and those of the dashboard and the container map no library that they measure: these
# three run beside each other, after all others. What they say is kept until all have ended.
beside=' memory dashboard container '
late=()
for chosen in $parts; do
  if [[ $beside == *" $chosen "* ]]; then
    late+=("$chosen")
  else
    run_part "$chosen"
  fi
done
for chosen in "${late[@]}"; do
  if [ "${#late[@]}" -gt 1 ]; then
    run_part "$chosen" > "$results/$chosen.said" 2>&1 &
    runs+=($!)
  else
    run_part "$chosen"
  fi
done
for run in "${runs[@]}"; do wait "$run" || count 0 1; done
cat "$results"/*.said 2>/dev/null
runs=()

passed=0 failed=0 skipped=0 again=0
while read -r good bad left anew; do
  passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left)) again=$((again + anew))
done < <(cat "$results/counts" 2>/dev/null)

# told TITLE END: what the parts wrote into their files with this end.
told() {
  compgen -G "$results/*.$2" >/dev/null || return
  printf '\n%s\n' "$1"
  cat "$results"/*."$2"
}

told 'What failed:' failed
told 'What failed once and passed when it was tried again, alone:' raced
printf '\ntests: %d passed, %d failed, %d skipped' "$passed" "$failed" "$skipped"
[ "$again" -eq 0 ] || printf '; %d of the passed at the second try' "$again"
printf '\n'
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
