"""Words and shapes that say what a text is: placeholders, truth values, scales, patterns."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ACCOUNTS",
    "FALSE",
    "MEDIA",
    "NO_VALUE",
    "ORDERED_NAMES",
    "PATTERNS",
    "SCALES",
    "TRUE",
    "WEAK_NO_VALUE",
    "words_of_name",
]

#: What people write where there is no value, lowered and stripped.
NO_VALUE: Final = frozenset(
    {
        "",
        "-",
        "--",
        "---",
        ".",
        "?",
        "n/a",
        "#n/a",
        "n.a.",
        "na",
        "<na>",
        "nan",
        "null",
        "(null)",
        "nil",
        "missing",
        "not available",
        "not applicable",
        "undefined",
        "no data",
    }
)
#: The same, where it may also be an honest category.
WEAK_NO_VALUE: Final = frozenset({"unknown", "none", "unspecified", "not specified", "tbd", "xxx"})

TRUE: Final = frozenset(
    {"yes", "y", "true", "t", "on", "1", "1.0", "ja", "oui", "si", "sí", "sim", "да", "是", "はい"}
)
FALSE: Final = frozenset(
    {"no", "n", "false", "f", "off", "0", "0.0", "nein", "non", "não", "нет", "否", "いいえ"}
)

#: Scales from low to high; words in one place mean the same rank.
SCALES: Final[tuple[tuple[tuple[str, ...], ...], ...]] = (
    (
        ("none", "no"),
        ("very low", "verylow"),
        ("low", "lo"),
        ("medium", "med", "mid", "moderate", "middle", "average"),
        ("high", "hi"),
        ("very high", "veryhigh"),
        ("extreme", "critical"),
    ),
    (("none",), ("minimal",), ("mild",), ("moderate",), ("severe",), ("critical", "fatal")),
    (
        ("xxs",),
        ("xs", "extra small"),
        ("s", "small", "sm"),
        ("m", "medium", "med", "md"),
        ("l", "large", "lg"),
        ("xl", "extra large"),
        ("xxl", "2xl"),
        ("xxxl", "3xl"),
    ),
    (
        ("terrible", "very poor", "very bad"),
        ("poor", "bad"),
        ("fair", "ok", "okay", "average", "acceptable"),
        ("good",),
        ("very good",),
        ("excellent", "great", "ideal"),
    ),
    (
        ("strongly disagree",),
        ("disagree", "somewhat disagree"),
        ("neutral", "neither agree nor disagree", "undecided"),
        ("agree", "somewhat agree"),
        ("strongly agree",),
    ),
    (
        ("very dissatisfied", "very unsatisfied"),
        ("dissatisfied", "unsatisfied"),
        ("neutral",),
        ("satisfied",),
        ("very satisfied",),
    ),
    (("never",), ("rarely", "seldom"), ("sometimes", "occasionally"), ("often",), ("always",)),
    (("bronze",), ("silver",), ("gold",), ("platinum",), ("diamond",)),
    (("cold",), ("cool",), ("mild",), ("warm",), ("hot",)),
    (("first", "1st"), ("second", "2nd"), ("third", "3rd"), ("fourth", "4th"), ("fifth", "5th")),
    (("beginner", "novice"), ("intermediate",), ("advanced",), ("expert",)),
    (("junior",), ("mid", "intermediate"), ("senior",), ("lead", "principal")),
    (
        ("primary", "primary school", "elementary"),
        ("secondary", "high school", "secondary school"),
        ("college", "some college"),
        ("bachelor", "bachelors", "bachelor's"),
        ("master", "masters", "master's"),
        ("doctorate", "phd", "doctoral"),
    ),
    tuple(
        (name, name[:3])
        for name in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    ),
    tuple(
        (name, name[:3])
        for name in (
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        )
    ),
)

#: Words in a column's name that make its small whole numbers or letters ranks.
ORDERED_NAMES: Final = frozenset(
    {
        "grade",
        "grades",
        "rating",
        "stars",
        "level",
        "lvl",
        "rank",
        "quality",
        "satisfaction",
        "severity",
        "priority",
        "likert",
        "stage",
        "tier",
        "pclass",
        "mark",
    }
)

MEDIA: Final = {
    "image": ("jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "webp", "svg", "dcm"),
    "audio": ("wav", "mp3", "flac", "ogg", "m4a", "aac", "opus"),
    "video": ("mp4", "mov", "avi", "mkv", "webm"),
}

_IPV4: Final = r"(25[0-5]|2[0-4]\d|1?\d?\d)"
PATTERNS: Final = {
    "e-mail": r"^\s*[^@\s,;<>]+@[^@\s,;<>]+\.[A-Za-z]{2,}\s*$",
    "URL": r"^\s*(https?|ftp|s3|gs)://\S+\s*$|^\s*www\.\S+\.\S+\s*$",
    "uuid": r"^\{?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?$",
    "IP address": (
        rf"^({_IPV4}\.){{3}}{_IPV4}(/\d{{1,2}})?$"
        r"|^([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}$"
        r"|^([0-9a-fA-F]{1,4}:){1,6}(:[0-9a-fA-F]{1,4}){1,6}$"
    ),
    "geometry in text": (
        r"(?i)^\s*(SRID=\d+;)?(MULTI)?(POINT|LINESTRING|POLYGON|GEOMETRYCOLLECTION)\s*(Z|M|ZM)?\s*\("
    ),
    "JSON in text": r"^\s*(\{\s*(\"|\})|\[\s*(\{|\[|\"|-?\d|\]|true|false|null))",
    "hash": r"^([0-9a-f]{12,128}|[0-9A-F]{12,128}|(0x)[0-9a-fA-F]{8,128})$",
    "path": (
        r"^(\.{0,2}/|~/|[A-Za-z]:[\\/])?([^/\\|<>:\"*?\n]+[/\\])*"
        r"[^/\\|<>:\"*?\n]+\.[A-Za-z0-9]{1,6}$"
    ),
    "phone": (
        r"^\s*(\+\d{1,3}[\s.-]?(\(\d{1,4}\)[\s.-]?)?\d{1,4}([\s./-]?\d{2,4}){1,5}"
        r"|\(\d{2,5}\)[\s.-]?\d{2,4}([\s.-]?\d{2,5}){0,2}"
        r"|\d{3}[\s.-]\d{3}[\s.-]\d{4}"
        r"|0\d{1,4}[\s/-]\d{3,}([\s-]?\d{2,}){0,3})(\s*(x|ext\.?)\s*\d+)?\s*$"
    ),
    "postal code": (
        r"^(\d{5}-\d{4}|[A-Z]\d[A-Z]\s?\d[A-Z]\d|[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}|\d{4}\s?[A-Z]{2})$"
    ),
}

#: Numbers of people and accounts: pattern by name of the document.
ACCOUNTS: Final = {
    "US social security numbers": r"^(00[1-9]|0[1-9]\d|[1-578]\d{2}|6\d{2})-\d{2}-\d{4}$",
    "UK national insurance numbers": r"(?i)^[A-CEGHJ-PR-TW-Z]{2}\s?\d{2}\s?\d{2}\s?\d{2}\s?[A-D]$",
    "IBANs": r"^[A-Z]{2}\d{2}\s?([A-Z0-9]{4}\s?){2,7}[A-Z0-9]{1,4}$",
    "payment card numbers": r"^\d{4}[\s-]?\d{4}[\s-]?\d{4}[\s-]?\d{1,7}$|^3[47]\d{13}$",
}


def words_of_name(name: str) -> list[str]:
    """The words a column's name is made of, lowered: ``"HomeZipCode"`` is home, zip, code.

    Examples
    --------
    >>> words_of_name("HomeZip_code2")
    ['home', 'zip', 'code', '2']
    """
    import re

    split = re.sub(r"([a-z])([A-Z])|([A-Z])(?=[A-Z][a-z])", r"\1\3 \2", name)
    return [word.lower() for word in re.findall(r"[^\W\d_]+|\d+", split)]
