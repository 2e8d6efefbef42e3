"""Reports of the bench as tables for a person."""

from rich.console import Console
from rich.table import Table

from utils.bench.train import OURS, SHUFFLED


def print_report(report: dict, console: Console | None = None) -> None:
    """Prints a report of `bench_train`, `bench_decode` or `bench_data`."""
    console = console or Console()
    where = report["conditions"]
    machine = f"{where['processor']}; {where['threads']} thread of {where['cores']} cores, load {where['load_before']}"
    versions = f"torch {where['torch']}, transformers {where['transformers'] or 'not installed'}"
    console.print(f"{machine} before; {versions}; {where['clock']}", style="dim", markup=False)
    for note in report["notes"]:
        console.print(f"Note: {note}", markup=False)
    for table in {"train": train_tables, "decode": decode_tables, "data": data_tables}[report["bench"]](report):
        console.print(table)
    if report["bench"] == "train":
        _print_padding_and_peak(report, console)


def train_tables(report: dict) -> list[Table]:
    """One table a size."""
    tables = []
    for result in report["results"]:
        table = _table(
            f"Training, {_sizes(result)}, {result['parameters']:,} parameters, {report['batch_tokens']} tokens",
            "", "ms an update", "tokens/s", "ours is faster", "quartiles", "least to reach",
        )  # fmt: skip
        for name, row in result["contestants"].items():
            table.add_row(
                name + (" (per token)" if name == SHUFFLED else ""),
                f"{row['milliseconds']['median']:.0f}",
                f"{row['tokens_per_second']['median']:,.0f}",
                "" if name == OURS else f"{row['ours_is_faster']['median']:.2f}×",
                "" if name == OURS else _quartiles(row["ours_is_faster"]),
                _verdict(row["ours_is_faster"]["median"], row["least"]),
            )
        tables.append(table)
    return tables


def _print_padding_and_peak(report: dict, console: Console) -> None:
    for name, share in report["padding"].items():
        console.print(
            f"Padding, {name}: {share['target']:.1%} of target positions, {share['source']:.1%} of the source"
        )
    peak = report["matrix_peak"]
    console.print(f"Matrix products reach {peak['gflops']:.0f} GFLOP/s here (float32, width {peak['width']}).")
    for result in report["results"]:
        console.print(
            f"An update of ours, {result['size']}: {result['gflops']['median']:.0f} GFLOP/s, "
            f"{result['share_of_peak']['median']:.0%} of that."
        )
    console.print(report["flops_formula"], style="dim", markup=False)


def decode_tables(report: dict) -> list[Table]:
    """One table a size."""
    tables = []
    for result in report["results"]:
        table = _table(
            f"Translating, {_sizes(result)}",
            "", "sentences", "steps", "ours, ms", "peer, ms", "ours is faster", "quartiles", "least to reach",
            "same tokens",
        )  # fmt: skip
        for kind, name in KINDS.items():
            for row in result[kind]:
                faster = row.get("ours_is_faster")
                table.add_row(
                    name.format(beam=report["beam_width"]),
                    str(row["sentences"]),
                    str(row["steps"]),
                    f"{row['ours_milliseconds']['median']:.0f}",
                    f"{row['theirs_milliseconds']['median']:.0f}" if faster else "–",
                    f"{faster['median']:.2f}×" if faster else "–",
                    _quartiles(faster) if faster else "–",
                    _verdict(faster["median"], row["least"]) if faster else "",
                    "–" if row["same_tokens"] is None else f"{row['same_tokens']:.0%}",
                )
        tables.append(table)
    return tables


KINDS = {
    "greedy": "greedy | torch.nn.Transformer, no cache",
    "beam": "beam {beam} | Marian's generate",
    "bare_beam": "beam {beam} | the same, nothing ruled out",
    "cache": "ours with cache | without",
}


def data_tables(report: dict) -> list[Table]:
    """One table."""
    training, ours, torchtext = report["training"], report["token_batches"], report["bucket_iterator"]
    table = _table(f"Loading {report['pairs']:,} pairs", "", "once, s", "an epoch, s", "target tokens/s", "of training")
    for name, row in (("TokenBatches", ours), ("torchtext's BucketIterator (words)", torchtext)):
        seconds = row["seconds_per_epoch"]["median"]
        share = f"{seconds / training['seconds_per_epoch']:.2%}"
        if row is ours:
            share += f" ({'under' if report['share_of_training'] < report['most'] else 'MISSED:'} {report['most']:.0%})"
        table.add_row(name, f"{row['once_seconds']:.1f}", f"{seconds:.2f}", f"{row['tokens_per_second']:,.0f}", share)
    table.add_row(
        f"training, {report['size']}", "", f"{training['seconds_per_epoch']:.0f}",
        f"{training['tokens_per_second']:,.0f}", "100%",
    )  # fmt: skip
    return [table]


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


def _sizes(result: dict) -> str:
    config = result["config"]
    return (
        f"{result['size']} (N {config['layers']}, d_model {config['d_model']}, d_ff {config['d_ff']}, "
        f"h {config['heads']}, {config['norm']}-norm)"
    )


def _quartiles(values: dict) -> str:
    return f"{values['low']:.2f}–{values['high']:.2f}"


def _verdict(value: float, least: float | None) -> str:
    if least is None:
        return ""
    return f"{least:.2f}× {'reached' if value >= least else 'MISSED'}"
