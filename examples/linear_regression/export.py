"""Exports version 1 of linear_regression, after a little training only: it is not good yet."""

import argparse
import pathlib

import model

# Few enough that the fit is visibly poor, so that retraining has something to do.
STEPS = 5

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=pathlib.Path, help="where to write linear_regression/1")
    directory = parser.parse_args().models / "linear_regression"
    regression = model.LinearRegression()
    loss = model.train(regression, STEPS)
    model.publish(regression, directory, 1)
    print(f"version 1 after {STEPS} steps: loss {loss:.4f}")
