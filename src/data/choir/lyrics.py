"""Spelling of German syllables to sounds, and syllables for parts without a text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np

from .phonemes import CONSONANTS, GLIDES, VOWELS


@dataclass(frozen=True)
class Syllable:
    """Sounds of one syllable: consonants, one vowel or diphthong, consonants."""

    onset: tuple[str, ...]
    vowel: str
    coda: tuple[str, ...]


_NUCLEI = (  # longest spelling first
    ("aeu", "OY"), ("äu", "OY"), ("eu", "OY"), ("ei", "aI"), ("ey", "aI"), ("ai", "aI"),
    ("ay", "aI"), ("au", "aU"), ("ie", "i"), ("aa", "a"), ("ee", "e"), ("oo", "o"),
    ("a", "a"), ("e", "e"), ("i", "i"), ("o", "o"), ("u", "u"), ("ä", "E"), ("ö", "Q"),
    ("ü", "y"), ("y", "y"),
)  # fmt: skip
_SHORT = {"e": "E", "i": "I", "o": "O", "u": "U"}
_ONSETS = (
    ("sch", "S"), ("tsch", "tS"), ("chr", "kr"), ("chl", "kl"), ("ch", "C"), ("ph", "f"),
    ("th", "t"), ("qu", "kv"), ("pf", "pf"), ("sp", "Sp"), ("st", "St"), ("ss", "s"), ("sz", "s"),
    ("ß", "s"), ("tz", "ts"), ("z", "ts"), ("c", "k"), ("ck", "k"), ("v", "f"), ("w", "v"),
    ("x", "ks"), ("s", "z"),
)  # fmt: skip
_CODAS = (
    ("tsch", "tS"), ("sch", "S"), ("chs", "ks"), ("chst", "kst"), ("ch", "C"), ("ck", "k"),
    ("ng", "N"), ("nk", "Nk"), ("tz", "ts"), ("dt", "t"), ("th", "t"), ("pf", "pf"), ("ph", "f"),
    ("ß", "s"), ("sz", "s"), ("z", "ts"), ("x", "ks"), ("v", "f"), ("w", "f"), ("b", "p"),
    ("d", "t"), ("g", "k"), ("c", "k"), ("h", ""), ("j", "j"),
)  # fmt: skip


def _spell_consonants(text: str, rules: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    ordered = sorted(rules, key=lambda rule: -len(rule[0]))
    sounds: list[str] = []
    while text:
        for spelling, spoken in ordered:
            if text.startswith(spelling):
                sounds.extend(spoken)
                text = text[len(spelling):]  # fmt: skip
                break
        else:
            sounds.append(text[0])
            text = text[1:]
    known = [sound for sound in sounds if sound in CONSONANTS]
    return tuple(s for i, s in enumerate(known) if i == 0 or s != known[i - 1])


def spell(text: str, *, stressed: bool = True) -> Syllable:
    """Find the sounds of a written syllable by simple rules of German, without a dictionary.

    Parameters
    ----------
    text : syllable as printed under a note; punctuation, digits and case do not matter
    stressed : False for syllables inside or at the end of a word, whose plain e is a schwa
    """
    text = unicodedata.normalize("NFC", text).lower()
    text = re.sub(r"[^a-zäöüß]", "", text)
    match = re.search("|".join(spelling for spelling, _ in _NUCLEI), text)
    if match is None:
        return Syllable(_spell_consonants(text, _ONSETS), "@", ())
    before, after = text[: match.start()], text[match.end() :]
    vowel = dict(_NUCLEI)[match.group()]
    # an h only lengthens the vowel before it, so it does not close the syllable
    closed = len(re.sub(r"sch|ch|ck", "xx", after)) >= 2 and not after.startswith("h")
    coda = _spell_consonants(after, _CODAS)
    if match.group() == "e" and not stressed:
        if after == "r":
            vowel, coda = "6", ()
        elif after in ("", "n", "l", "m", "s", "st", "t", "nd", "ns"):
            vowel = "@"
    elif match.group() == "e" and after == "" and before in ("b", "g"):
        vowel = "@"
    elif closed:
        vowel = _SHORT.get(vowel, vowel)
    if "C" in coda and vowel in ("a", "o", "O", "u", "U", "aU"):
        coda = tuple("x" if sound == "C" else sound for sound in coda)
    if after == "g" and match.group() == "i":
        coda = ("C",)
    onset = _spell_consonants(before, _ONSETS)
    if not stressed and before in ("st", "sp"):  # only words begin with the sound of "sch"
        onset = ("s", before[1])
    return Syllable(onset, vowel, coda)


def make_up_syllable(rng: np.random.Generator) -> Syllable:
    """Draw a plausible syllable for a part without text."""
    onsets = ("", "m", "n", "l", "r", "d", "g", "b", "h", "f", "s", "t", "k", "v", "j", "S")
    codas = ("", "", "", "n", "s", "t", "l", "m", "C")
    vowels = tuple(VOWELS) + tuple(GLIDES)
    onset, coda = str(rng.choice(onsets)), str(rng.choice(codas))
    vowel = str(rng.choice(vowels))
    return Syllable((onset,) if onset else (), vowel, (coda,) if coda else ())
