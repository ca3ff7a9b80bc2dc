#!/bin/sh
# Runs the tests on each Python of PYTHONS that is found, each in an environment of its own.
set -eu
ran="" missing="" failed=""
for version in ${PYTHONS:-3.11 3.12 3.13}; do
  env=".venv-$version"
  code=0
  sh .ci/env "$env" dev "$version" || code=$?
  case $code in
    0) ;;
    3) missing="$missing $version" && continue ;;
    *) exit "$code" ;;
  esac
  echo "== Python $version"
  if "$env/bin/python" -m pytest -q -n 2 "$@"; then
    ran="$ran $version"
  else
    failed="$failed $version"
  fi
done
if [ -n "$failed" ]; then
  echo "failed on Python:$failed${ran:+ (passed:$ran)}" >&2
  exit 1
fi
if [ -z "$ran" ]; then
  echo "found none of Python$missing: install one, or name yours: make test PYTHONS=3.14" >&2
  exit 2
fi
echo "tested on Python:$ran${missing:+ (not found:$missing)}"
