# Short forms of the README's two commands, and what a contributor runs before pushing.
PY := .venv/bin/python

.PHONY: run test venv check slow bench docs

venv: .venv/installed

# Editable, so that what you edit is what runs; made anew when the requirements change.
.venv/installed: pyproject.toml
	test -x $(PY) || python3 -m venv .venv
	$(PY) -m pip install --quiet -e '.[test]'
	touch $@

run: venv
	.venv/bin/nestbench run

test: venv
	$(PY) -m pytest

slow: venv
	$(PY) -m pytest -m slow

bench: venv
	$(PY) -m pytest tests/benchmarks --benchmark-enable -n 0 -m 'slow or not slow'

check: venv
	sh .ci/check .venv

docs: venv
	$(PY) -m pip install --quiet -e '.[docs]'
	$(PY) -m sphinx -b html -n -W --keep-going -q -d docs/_build/doctrees docs docs/_build/html
