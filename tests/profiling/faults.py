"""A realistic table without faults, and faults to plant into it one at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

ROWS = 2400
CITIES = ("Berlin", "Hamburg", "New York", "Los Angeles", "Chicago", "Lyon", "Osaka", "Leeds")
WORDS = ["box", "late", "fine", "good", "torn", "nice", "slow", "fast", "blue", "left", "door"]
TARGET = "returned"


@dataclass(frozen=True)
class Fault:
    """How a fault is planted, and the finding that must name it."""

    name: str
    plant: Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]
    column: str
    finding: str
    target: str | None = TARGET
    says: str = ""


def orders(seed: int = 0, rows: int = ROWS) -> pd.DataFrame:
    """Orders of a shop: an honest table with an honest target."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.integers(0, 720 * 24 * 60, rows))
    age = np.clip(rng.normal(44, 14, rows), 18, 90).round()
    height = rng.normal(172, 9, rows).round(1)
    frame = pd.DataFrame(
        {
            "order_id": np.arange(10_000, 10_000 + rows),
            "ordered_at": pd.Timestamp("2023-01-01") + pd.to_timedelta(day, "min"),
            "age": age,
            "height": height,
            "weight": (0.9 * (height - 100) + rng.normal(0, 9, rows)).round(1),
            "temperature": rng.normal(12, 7, rows).round(1),
            "income": rng.lognormal(10.3, 0.5, rows).round(),
            "distance": rng.gamma(3, 4, rows).round(2) + 0.1,
            "items": rng.poisson(6, rows) + 1,
            "price": rng.lognormal(3.5, 0.8, rows).round(2),
            "discount": rng.uniform(0.05, 0.5, rows).round(3),
            "city": rng.choice(CITIES, rows, p=[0.25, 0.15, 0.15, 0.1, 0.1, 0.1, 0.1, 0.05]),
            "channel": rng.choice(["web", "app", "shop"], rows, p=[0.5, 0.3, 0.2]),
            "express": rng.random(rows) < 0.3,
            "rating": rng.integers(1, 6, rows),
            "remark": [" ".join(rng.choice(WORDS, 7)) for _ in range(rows)],
        }
    )
    score = 0.04 * (frame["age"] - 44) + 2 * (frame["discount"] - 0.25) - 0.3 * frame["express"]
    frame[TARGET] = rng.random(rows) < 1 / (1 + np.exp(0.9 - score))
    return frame


def _some(rng: np.random.Generator, frame: pd.DataFrame, share: float) -> np.ndarray:
    return rng.random(len(frame)) < share


def _set(name: str, make: Callable[[pd.DataFrame, np.random.Generator], object]):  # type: ignore[no-untyped-def]
    """A fault that gives a column new values."""

    def plant(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        return frame.assign(**{name: make(frame, rng)})

    return plant


def _where(name: str, share: float, make: Callable[[pd.Series], object]):  # type: ignore[no-untyped-def]
    """A fault in a share of a column's values."""

    def plant(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        hit = pd.Series(_some(rng, frame, share), index=frame.index)
        new = make(frame[name])
        return frame.assign(**{name: frame[name].mask(hit, new)})

    return plant


def _rows(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return pd.concat([frame, frame.sample(60, random_state=1)], ignore_index=True)


def _rows_but_id(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return _rows(frame, rng).assign(order_id=lambda f: np.arange(len(f)) + 10_000)


def _drift(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    chance = np.linspace(0.05, 0.6, len(frame))
    return frame.assign(returned=rng.random(len(frame)) < chance)


def _absent_with_label(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    open_ = _some(rng, frame, 0.1)
    handled = pd.Series(rng.normal(30, 5, len(frame)))
    label = frame[TARGET].astype(object).mask(pd.Series(open_))
    return frame.assign(handling=handled.mask(pd.Series(open_)), returned=label)


def _telling_gaps(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    gone = rng.random(len(frame)) < np.where(frame[TARGET], 0.15, 0.01)
    return frame.assign(income=frame["income"].mask(pd.Series(gone)))


def _together(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    gone = pd.Series(_some(rng, frame, 0.04))
    return frame.assign(height=frame["height"].mask(gone), weight=frame["weight"].mask(gone))


def _gap_in_time(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    away = frame["ordered_at"].between("2023-09-01", "2023-10-10")
    return frame[~away].reset_index(drop=True)


def _partial(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame[frame["ordered_at"] < "2024-10-05"].reset_index(drop=True)


def _closed(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    days = rng.gamma(2, 3, len(frame)) + np.where(frame[TARGET], 12, 1)
    return frame.assign(closed_at=frame["ordered_at"] + pd.to_timedelta(days, "D"))


def _card(frame: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    made = []
    for _ in range(len(frame)):
        digits = [4, *rng.integers(0, 10, 14).tolist()]
        total = sum(
            d if i % 2 else (2 * d - 9 if d > 4 else 2 * d) for i, d in enumerate(digits[::-1])
        )
        made.append("".join(map(str, digits)) + str(-total % 10))
    return made


def _iban(frame: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    made = []
    for _ in range(len(frame)):
        body = "".join(map(str, rng.integers(0, 10, 18)))
        made.append(f"DE{98 - int(body + '131400') % 97:02d}{body}")
    return made


def _names(frame: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    last = ["Meyer", "O'Neil", "García", "Smith", "Novák", "Brown", "Rossi", "Sato"]
    return rng.choice(last, len(frame)).tolist()


def _ids(frame: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    return [hashlib.md5(str(i).encode()).hexdigest() for i in frame.index]


def _text(form: str, high: int = 10_000):  # type: ignore[no-untyped-def]
    """A column of texts with a running or random number in them."""

    def make(frame: pd.DataFrame, rng: np.random.Generator) -> list[str]:
        return [form.format(i=i, r=r) for i, r in enumerate(rng.integers(0, high, len(frame)))]

    return make


FAULTS: tuple[Fault, ...] = (
    Fault(
        "the label again",
        _set("state", lambda f, r: np.where(f[TARGET], "back", "kept")),
        "state",
        "leakage",
    ),
    Fault(
        "a refund",
        _set("refund", lambda f, r: np.where(f[TARGET], f["price"], 0.0)),
        "refund",
        "leakage",
    ),
    Fault("filled in with the label", _absent_with_label, "handling", "leakage"),
    Fault("missing labels", _absent_with_label, TARGET, "missing labels"),
    Fault("a later time that tells", _closed, "closed_at", "time leakage"),
    Fault(
        "the next row's target",
        _set("next", lambda f, r: f["price"].shift(-1)),
        "next",
        "time leakage",
        "price",
    ),
    Fault("a target that drifts", _drift, "ordered_at", "order in time"),
    Fault("rows twice", _rows, "(rows)", "duplicate rows"),
    Fault("rows twice beside the id", _rows_but_id, "(rows)", "duplicate rows"),
    Fault("a column twice", _set("age2", lambda f, r: f["age"]), "age2", "duplicate column"),
    Fault(
        "inches beside centimetres",
        _set("inches", lambda f, r: f["height"] / 2.54),
        "inches",
        "duplicate column",
    ),
    Fault(
        "pounds, rounded",
        _set("pounds", lambda f, r: (f["weight"] * 2.2046).round(1)),
        "pounds",
        "duplicate column",
    ),
    Fault(
        "codes beside names",
        _set("place", lambda f, r: f["city"].map(CITIES.index)),
        "place",
        "duplicate column",
    ),
    Fault("a constant", _set("currency", lambda f, r: "EUR"), "currency", "constant"),
    Fault(
        "nearly a constant",
        _set("gift", lambda f, r: np.where(_some(r, f, 0.003), "y", "x")),
        "gift",
        "near-constant",
    ),
    Fault("nothing at all", _set("notes", lambda f, r: np.nan), "notes", "empty"),
    Fault("a key", _set("token", _ids), "token", "identifier"),
    Fault(
        "positions out of the world",
        lambda f, r: f.assign(lat=r.normal(50, 3, len(f)), lon=r.normal(9, 3, len(f))).assign(
            lat=lambda g: g["lat"].where(g.index % 300 != 0, 950.0)
        ),
        "lat",
        "impossible values",
    ),
    Fault(
        "lists",
        _set("tags", lambda f, r: [["a", "b"][: i % 3] for i in range(len(f))]),
        "tags",
        "nested",
    ),
    Fault(
        "free text",
        _set("story", _text("once upon a time in the year {r} there was a {i}")),
        "story",
        "free text",
    ),
    Fault("hundreds of categories", _set("plate", _text("p{r}", 900)), "plate", "high cardinality"),
    Fault(
        "rare categories",
        _set(
            "brand",
            lambda f, r: np.where(
                _some(r, f, 0.02),
                r.choice(list("uvwxyz"), len(f)),
                r.choice(["acme", "bolt"], len(f)),
            ),
        ),
        "brand",
        "rare categories",
    ),
    Fault("a long tail", _set("paid", lambda f, r: r.lognormal(3, 2, len(f))), "paid", "skew"),
    Fault(
        "one wild value",
        _set("age", lambda f, r: f["age"].where(f.index != 7, 44e6)),
        "age",
        "outliers",
    ),
    Fault(
        "infinite",
        _set("price", lambda f, r: f["price"].where(f.index % 500 != 0, np.inf)),
        "price",
        "infinite values",
    ),
    Fault("a fifth missing", _where("income", 0.2, lambda s: np.nan), "income", "missing"),
    Fault("missing together", _together, "height", "missing together"),
    Fault("missing tells the target", _telling_gaps, "income", "missing", says="returned is"),
    Fault("-999", _where("income", 0.03, lambda s: -999), "income", "placeholder"),
    Fault("9999", _where("distance", 0.02, lambda s: 9999), "distance", "placeholder"),
    Fault("99 for an age", _where("age", 0.04, lambda s: 99), "age", "placeholder"),
    Fault("-1 of a count", _where("items", 0.03, lambda s: -1), "items", "placeholder"),
    Fault("no height", _where("height", 0.03, lambda s: 0.0), "height", "placeholder"),
    Fault(
        "1900-01-01",
        _where("ordered_at", 0.02, lambda s: pd.Timestamp("1900-01-01")),
        "ordered_at",
        "placeholder",
    ),
    Fault("unknown", _where("city", 0.03, lambda s: "unknown"), "city", "placeholder"),
    Fault("N/A", _where("channel", 0.03, lambda s: "N/A"), "channel", "placeholder"),
    Fault(
        "words among numbers",
        _set(
            "room",
            lambda f, r: np.where(
                _some(r, f, 0.05), "ground floor", r.integers(1, 400, len(f)).astype(str)
            ),
        ),
        "room",
        "mixed types",
    ),
    Fault(
        "NY and New York",
        _where("city", 0.06, lambda s: s.replace({"New York": "NY"})),
        "city",
        "inconsistent categories",
    ),
    Fault(
        "case and spaces",
        _where("city", 0.1, lambda s: s.str.lower() + " "),
        "city",
        "inconsistent categories",
    ),
    Fault(
        "a slip",
        _where("city", 0.006, lambda s: s.replace({"Berlin": "Berlni"})),
        "city",
        "inconsistent categories",
    ),
    Fault(
        "metres among kilometres",
        _where("distance", 0.08, lambda s: s * 1000),
        "distance",
        "wrong units",
    ),
    Fault(
        "inches among centimetres",
        _where("height", 0.1, lambda s: s / 2.54),
        "height",
        "wrong units",
    ),
    Fault(
        "metres among centimetres",
        _where("height", 0.05, lambda s: s / 100),
        "height",
        "wrong units",
    ),
    Fault(
        "°F among °C",
        _set(
            "body",
            lambda f, r: np.where(
                _some(r, f, 0.1),
                r.normal(36.8, 0.5, len(f)) * 1.8 + 32,
                r.normal(36.8, 0.5, len(f)),
            ),
        ),
        "body",
        "wrong units",
    ),
    Fault(
        "per cent among fractions",
        _where("discount", 0.1, lambda s: s * 100),
        "discount",
        "wrong units",
    ),
    Fault("a rare class", _set(TARGET, lambda f, r: _some(r, f, 0.02)), TARGET, "imbalance"),
    Fault("a gap of six weeks", _gap_in_time, "ordered_at", "time coverage"),
    Fault("the last month has begun", _partial, "ordered_at", "time coverage"),
    Fault("e-mail", _set("contact", _text("user{i}@mail.org")), "contact", "personal data"),
    Fault("telephone", _set("line", _text("+49 30 55{r:05d}")), "line", "personal data"),
    Fault("surnames", _set("last_name", _names), "last_name", "personal data"),
    Fault("social security", _set("code", _text("123-45-{r:04d}")), "code", "personal data"),
    Fault("IBAN", _set("account", _iban), "account", "personal data"),
    Fault("payment cards", _set("payment", _card), "payment", "personal data"),
    Fault(
        "IP addresses",
        _set("host", lambda f, r: [f"10.{a}.{b}.7" for a, b in r.integers(0, 250, (len(f), 2))]),
        "host",
        "personal data",
    ),
    Fault(
        "birth dates",
        _set(
            "birth_date",
            lambda f, r: (
                pd.Timestamp("1960-01-01") + pd.to_timedelta(r.integers(0, 15_000, len(f)), "D")
            ),
        ),
        "birth_date",
        "personal data",
    ),
    Fault(
        "addresses in remarks",
        _where("remark", 0.02, lambda s: s + " write to me@home.org please"),
        "remark",
        "personal data",
    ),
    Fault(
        "nearly the same",
        _set("gross", lambda f, r: f["price"] * 1.19 + r.normal(0, 1, len(f))),
        "gross",
        "redundant",
    ),
    Fault(
        "mojibake",
        _set("town", lambda f, r: r.choice(["KÃ¶ln", "Bonn", "LÃ¼beck"], len(f))),
        "town",
        "damaged text",
    ),
    Fault(
        "zero width", _where("channel", 0.03, lambda s: s + "\u200b"), "channel", "stray characters"
    ),
    Fault("spaces", _where("channel", 1.0, lambda s: s + " "), "channel", "stray characters"),
    Fault(
        "tomorrow",
        _where("ordered_at", 0.005, lambda s: pd.Timestamp("2063-04-05")),
        "ordered_at",
        "future dates",
    ),
    Fault("a negative age", _where("age", 0.005, lambda s: -s), "age", "impossible values"),
    Fault("an age of 250", _where("age", 0.005, lambda s: s * 3 + 110), "age", "impossible values"),
    Fault(
        "dates in text",
        _set("due", lambda f, r: f["ordered_at"].dt.strftime("%d.%m.%Y")),
        "due",
        "date in text",
    ),
    Fault(
        "day or month",
        _set("due", lambda f, r: [f"{a}/{b}/2023" for a, b in r.integers(1, 13, (len(f), 2))]),
        "due",
        "date in text",
        says="both read all",
    ),
    Fault(
        "two ways to write a date",
        _set(
            "due",
            lambda f, r: np.where(
                _some(r, f, 0.3),
                f["ordered_at"].dt.strftime("%d.%m.%Y"),
                f["ordered_at"].dt.strftime("%Y-%m-%d"),
            ),
        ),
        "due",
        "date in text",
        says="several ways",
    ),
    Fault(
        "decimal commas",
        _set(
            "fee",
            lambda f, r: [
                f"{x:,.2f}".replace(",", " ").replace(".", ",") + " €"
                for x in r.lognormal(6, 1, len(f))
            ],
        ),
        "fee",
        "number in text",
        says="€",
    ),
    Fault("per cent in text", _set("tax", _text("{r}%", 40)), "tax", "number in text"),
    Fault(
        "yes and no",
        _set("agreed", lambda f, r: r.choice(["Yes", "no", "YES"], len(f))),
        "agreed",
        "boolean in text",
    ),
)
