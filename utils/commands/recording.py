"""`python -m utils record`: keeps a finished run's curve and scores as one JSON file, for chapters to show."""

import json
from pathlib import Path

from utils.errors import CheckpointError, ConfigError
from utils.training.runs import RunFolder, write_text


def record_run(folder: RunFolder, out: Path, replace: bool = False) -> Path:
    """Writes command, versions, hardware, seed, settings, metrics and every evaluation of a run to `out`."""
    if out.exists() and not replace:
        raise ConfigError(f"{out} exists: choose another --out, or say --replace.")
    settings = folder.settings()
    if not folder.final_file.exists():
        raise CheckpointError(f"{folder.path} is not finished: `resume` it before it is recorded.")
    record = {
        **folder.origin(),
        "seed": settings.seed,
        "settings": {name: value for name, value in settings.to_dict().items() if value is not None},
        "evaluations": [
            json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.path.glob("*.beam*.json"))
        ],
        "metrics": folder.metrics(),
    }
    write_text(out, _compact(record))
    return out


def _compact(record: dict) -> str:
    """JSON with one line a metric, so that a difference can be read."""
    lines = ",\n  ".join(json.dumps(metric) for metric in record["metrics"])
    rest = json.dumps({**record, "metrics": "@"}, indent=1, ensure_ascii=False)
    return rest.replace('"@"', f"[\n  {lines}\n ]") + "\n"
