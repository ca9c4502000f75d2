#!/usr/bin/env python3
"""Exports the SavedModels that the tests run.

    export.py DIR [NAME ...]

Each model goes to DIR/NAME/VERSION. Nothing is done where the models there were made by this very
source with this very TensorFlow: DIR/.stamp says so. With names, only those are made (for work on
one of them), and no stamp is written.

What is exported is fixed: no random numbers, no time stamps in names.
"""

import fcntl
import hashlib
import importlib
import importlib.metadata
import os
import pathlib
import shutil
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
# Every file here but this one and common.py registers models.
SOURCES = sorted(path.name for path in HERE.glob("*.py"))
# What conformance.py makes a model of.
TABLE = "../conformance/signatures.json"


def tensorflow_version():
    """The installed version, without the seconds that importing it takes."""
    for package in ("tensorflow-cpu", "tensorflow"):
        try:
            return f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    sys.exit("export.py: no TensorFlow in this Python: run `cargo xtask setup`")


def stamp():
    """What the models depend on, in one line."""
    digest = hashlib.sha256()
    for name in [*SOURCES, TABLE]:
        digest.update((HERE / name).read_bytes())
    return f"{tensorflow_version()} {digest.hexdigest()}\n"


def export(target, names):
    """Makes every model, or those named."""
    # Before TensorFlow is imported: it reads them once. Its log is of no use here.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    sys.path.insert(0, str(HERE))
    import common

    common.quiet()
    for name in SOURCES:
        if name not in ("common.py", "export.py"):
            importlib.import_module(name.removesuffix(".py"))
    unknown = set(names) - set(common.MODELS)
    if unknown:
        sys.exit(f"export.py: no such model: {', '.join(sorted(unknown))}")
    for name, build in sorted(common.MODELS.items()):
        if names and name not in names:
            continue
        # Beside its place, then moved: whoever looks never sees half a model.
        fresh = target / f".{name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        build(fresh)
        shutil.rmtree(target / name, ignore_errors=True)
        fresh.rename(target / name)
    return len(names or common.MODELS)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__.strip())
    target = pathlib.Path(sys.argv[1])
    names = sys.argv[2:]
    target.mkdir(parents=True, exist_ok=True)
    with open(target / ".lock", "w") as lock:
        # Two test runs at once: the second waits, then finds the work done.
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark = target / ".stamp"
        wanted = stamp()
        if not names and mark.exists() and mark.read_text() == wanted:
            return
        mark.unlink(missing_ok=True)
        started = time.monotonic()
        count = export(target, names)
        if not names:
            mark.write_text(wanted)
        print(f"exported {count} models to {target} in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
