# Makes the component. What makes it is installed into .venv the first time, and when
# requirements.txt has changed.
set -e
if ! [ .venv/made -nt requirements.txt ]; then
    python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
    touch .venv/made
fi
.venv/bin/componentize-py --quiet --wit-path wit --world model-processor \
    componentize --python-path src app --output {{name}}.wasm
