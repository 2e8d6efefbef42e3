"""Multi30k, English–German (Elliott et al. 2016, task 1): 29 000 image captions and their translations."""

import os
from pathlib import Path

from utils.errors import DataError
from utils.text.download import cache_folder, fetch
from utils.text.files import read_pairs

ADDRESS = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/"
STEMS = {"train": "train", "valid": "val", "test": "test_2016_flickr"}
CHECKSUMS = {
    "test_2016_flickr.de.gz": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    "test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
}
WAY_OUT = "copy the files into a folder and name it with --data-dir or the variable MULTI30K_DIR"


def load_multi30k(data_dir: Path | str | None = None, address: str = ADDRESS) -> dict[str, list[tuple[str, str]]]:
    """English–German pairs of the splits train, valid and test (test_2016_flickr).

    Read from `data_dir`, else from $MULTI30K_DIR, else downloaded to the cache folder and checked by SHA-256.
    A folder may hold the files as published (.gz) or unpacked; what is in it is taken as it is.
    """
    folder = data_dir or os.environ.get("MULTI30K_DIR")
    splits = {}
    for split, stem in STEMS.items():
        sides = (f"{stem}.en.gz", f"{stem}.de.gz")
        if folder:
            paths = [_in_folder(Path(folder), name) for name in sides]
        else:
            cache = cache_folder("multi30k")
            paths = [fetch(address + name, cache / name, CHECKSUMS[name], WAY_OUT) for name in sides]
        splits[split] = read_pairs(*paths)
    return splits


def _in_folder(folder: Path, name: str) -> Path:
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}: --data-dir and MULTI30K_DIR must name the one with {name}.")
    for path in (folder / name, folder / name.removesuffix(".gz")):
        if path.is_file():
            return path
    raise DataError(f"{folder} holds neither {name} nor {name.removesuffix('.gz')}: {WAY_OUT}.")
