"""What the commonest inline templates of English Wikipedia show, as wikitext of one line each.

Without them a sentence loses its measures and foreign words ("the coast is about long"). They are
our own reductions to plain text of what https://en.wikipedia.org/wiki/Template:NAME documents;
`{{{1|}}}` is a template's first argument. Templates that are not here show nothing.
"""

_FIRST = "{{{1|}}}"
_SECOND = "{{{2|}}}"
_UNIT_NAME = "Hearth unit"
"""A template of our own, so that a unit is looked up once a measure."""
_UNIT = (
    "{{#switch:{{{1|}}}|C=°C|F=°F|sqmi=square miles|sqkm=km²|km2=km²|m2=m²|km3=km³|m3=m³|mi=miles"
    "|ft=feet|in=inches|lb=pounds|acre=acres|yd=yards"
    "|e6acre=million acres|e6ha=million ha|e6km2=million km²|#default={{{1|}}}}}"
)
_RANGES = "to=to|and=and|or=or|by=by|x=by|\N{MULTIPLICATION SIGN}=by|-=to|\N{EN DASH}=to|to(-)=to"
_CONVERT = (
    f"{_FIRST} {{{{#switch:{_SECOND}"
    + "".join(
        f"|{given}={shown} {{{{{{3|}}}}}} {{{{{_UNIT_NAME}|1={{{{{{4|}}}}}}}}}}"
        for given, shown in (pair.split("=") for pair in _RANGES.split("|"))
    )
    + f"|#default={{{{{_UNIT_NAME}|1={_SECOND}}}}}}}}}"
)

_DEFINITIONS = {
    _UNIT_NAME: _UNIT,
    "Convert": _CONVERT,
    "Cvt": _CONVERT,
    "Lang": _SECOND,
    "Transl": "{{{3|{{{2|}}}}}}",
    "Transliteration": "{{{3|{{{2|}}}}}}",
    "Font color": _SECOND,
    "As of": "{{#if:{{{lc|}}}|as|As}} of {{{1|}}}",
    "Circa": "c. {{{1|}}}",
    "C.": "c. {{{1|}}}",
    "Frac": "{{#if:{{{3|}}}|{{{1|}}} {{{2|}}}/{{{3|}}}|{{{1|}}}/{{{2|}}}}}",
    "US$": "US${{{1|}}}",
    "JPY": "¥{{{1|}}}",
    "CAD": "C${{{1|}}}",
    "GBP": "£{{{1|}}}",
    "HMS": "HMS {{{1|}}}",
    "USS": "USS {{{1|}}}",
    "SS": "SS {{{1|}}}",
}
_SHOWN_FIRST = (
    *("Abbr", "Angbr", "Ill", "Interlanguage link", "Key press", "Mvar", "Nihongo", "Nobr"),
    *("Nowrap", "Val"),
)

TEMPLATES: dict[str, str] = {
    f"Template:{name}": text
    for name, text in {**dict.fromkeys(_SHOWN_FIRST, _FIRST), **_DEFINITIONS}.items()
}
"""Wikitext by full title, as `wikiextractor` wants it."""
