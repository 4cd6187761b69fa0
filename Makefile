# Short forms of the README's two commands, and what a contributor runs before pushing.
PY := .venv/bin/python

.PHONY: run test venv check slow bench docs

venv: .venv/bin/python

.venv/bin/python:
	python3 -m venv .venv

run: venv
	$(PY) -m pip install --quiet . && .venv/bin/nestbench run

test: venv
	$(PY) -m pip install --quiet '.[test]' && $(PY) -m pytest

slow: venv
	$(PY) -m pip install --quiet '.[test]' && $(PY) -m pytest -m slow

bench: venv
	$(PY) -m pip install --quiet '.[test]' && $(PY) -m pytest tests/benchmarks --benchmark-enable -n 0 -m 'slow or not slow'

check: venv
	$(PY) -m pip install --quiet '.[test]' && sh .ci/check .venv

docs: venv
	$(PY) -m pip install --quiet '.[docs]' && $(PY) -m sphinx -b html -n -W --keep-going -q -d docs/_build/doctrees docs docs/_build/html
