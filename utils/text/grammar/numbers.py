"""Number words and clock times in both languages."""

from functools import lru_cache

from utils.text.lexicon import Adverbial, Lexicon

# Ordered by how the clock is read aloud. 0 stands for the hour named; a quarter to and half look one hour ahead.
MINUTES = (5, 10, 20)


@lru_cache(maxsize=4)
def _table(lexicon: Lexicon) -> dict[int, tuple[str, str]]:
    return {number.value: (number.english, number.german) for number in lexicon.numbers}


def number_words(lexicon: Lexicon, value: int) -> tuple[str, str]:
    """(English, German) of 1 … 99: (twenty-one, einundzwanzig)."""
    table = _table(lexicon)
    if value in table:
        return table[value]
    tens, unit = table[value - value % 10], table[value % 10]
    # German says the unit first, and eins loses its s inside a compound.
    german_unit = "ein" if value % 10 == 1 else unit[1]
    return f"{tens[0]}-{unit[0]}", f"{german_unit}und{tens[1]}"


@lru_cache(maxsize=4)
def clock_times(lexicon: Lexicon) -> tuple[Adverbial, ...]:
    """All clock times of the corpus: eleven for each hour from one to twelve."""
    times: list[Adverbial] = []
    for hour in range(1, 13):
        following = hour % 12 + 1
        english, german = number_words(lexicon, hour)
        _, german_following = number_words(lexicon, following)
        # ein Uhr, but halb eins, Viertel nach eins.
        full_hour = "ein" if hour == 1 else german
        times.append(_clock(("at", english, "o'clock"), ("um", full_hour, "Uhr"), "0-0 1-1 2-2"))
        times.append(_clock(("at", "half", "past", english), ("um", "halb", german_following), "0-0 1-1 2-1 3-2"))
        for english_word, german_word in (("past", "nach"), ("to", "vor")):
            times.append(
                _clock(
                    ("at", "a", "quarter", english_word, english),
                    ("um", "Viertel", german_word, german),
                    "0-0 1-1 2-1 3-2 4-3",
                )
            )
            for minutes in MINUTES:
                english_minutes, german_minutes = number_words(lexicon, minutes)
                times.append(
                    _clock(
                        ("at", english_minutes, english_word, english),
                        ("um", german_minutes, german_word, german),
                        "0-0 1-1 2-2 3-3",
                    )
                )
    return tuple(times)


def _clock(english: tuple[str, ...], german: tuple[str, ...], alignment: str) -> Adverbial:
    pairs = tuple((int(left), int(right)) for left, right in (pair.split("-") for pair in alignment.split()))
    return Adverbial(english, german, "time", ("present", "past", "future", "modal"), pairs)
