"""The training loop (§5): updates, validation, checkpoints, and going on after a kill to the same numbers."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from utils.errors import CheckpointError, CourseError
from utils.text.batches import Batch, TokenBatches
from utils.text.tokenise import Tokeniser, digest
from utils.training.checkpoints import average_weights, load_checkpoint, load_weights, save_checkpoint
from utils.training.device import autocast, choose_precision
from utils.training.distributed import World, add_up
from utils.training.loss import summed_loss
from utils.training.runs import RunFolder, check_vocabulary, weights_state
from utils.training.schedule import learning_rate
from utils.training.settings import Settings


class Objective(nn.Module):
    """Model and loss as one module, so that DistributedDataParallel sees a single forward call."""

    def __init__(self, model: nn.Module, smoothing: float) -> None:
        super().__init__()
        self.model = model
        self.smoothing = smoothing

    def forward(self, batch: Batch) -> Tensor:
        """The batch's summed loss."""
        return summed_loss(self.model, batch.source, batch.target_input, batch.target_output, self.smoothing)


class Trainer:
    """One run, from its first update or from its newest checkpoint to its last update."""

    def __init__(
        self,
        settings: Settings,
        model: nn.Module,
        tokeniser: Tokeniser,
        train: TokenBatches,
        valid: TokenBatches,
        folder: RunFolder,
        device: torch.device,
        world: World | None = None,
    ) -> None:
        self.settings, self.tokeniser, self.folder = settings, tokeniser, folder
        self.train_batches, self.valid_batches = train, valid
        self.device, self.world = device, world or World()
        self.dtype = choose_precision(settings.precision, device)
        self.model = model.to(device)
        self.objective = self._wrap(Objective(self.model, settings.label_smoothing))
        # One fused kernel for the whole update where there is one; MPS has none.
        fused = {"fused": True} if device.type in ("cuda", "cpu") else {}
        adam = torch.optim.AdamW if settings.weight_decay else torch.optim.Adam
        self.optimiser = adam(
            self.model.parameters(), lr=0.0, betas=(settings.beta1, settings.beta2), eps=settings.epsilon,
            weight_decay=settings.weight_decay, **fused,
        )  # fmt: skip
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)
        self.update = 0  # updates done
        self.epoch, self.position = 0, 0  # the next batch: `position` in the plan of `epoch`
        self.best_loss, self.best_update, self.without_gain = math.inf, 0, 0
        self.seconds = 0.0  # of training, over all sittings
        self._clear_window()

    def _wrap(self, objective: nn.Module) -> nn.Module:
        if self.settings.compile:
            objective.compile(dynamic=True)
        if self.world.size == 1:
            return objective
        return DistributedDataParallel(objective, device_ids=[self.device] if self.device.type == "cuda" else None)

    def _clear_window(self) -> None:
        exact = torch.float32 if self.device.type == "mps" else torch.float64
        self.window_loss = torch.zeros((), dtype=exact, device=self.device)
        self.window_tokens, self.window_seconds = 0, 0.0

    # ---- one update -------------------------------------------------------------------------------------------

    def batch_groups(self) -> Iterator[tuple[list[Batch], int]]:
        """For each update: this process's batches, and the real target tokens of all processes' batches."""
        per_update = self.settings.accumulate * self.world.size
        group: list[Tensor] = []
        while True:
            plan = self.train_batches.plan(self.epoch)
            while self.position < len(plan):
                group.append(plan[self.position])
                self.position += 1
                if self.position == len(plan):
                    self.epoch, self.position, plan = self.epoch + 1, 0, []
                if len(group) == per_update:
                    tokens = sum(int(self.train_batches.target_tokens[rows].sum()) for rows in group)
                    yield [self.train_batches.make(rows) for rows in group[self.world.rank :: self.world.size]], tokens
                    group = []

    def step(self, batches: list[Batch], tokens: int) -> None:
        """One update from one or more batches, whose losses are averaged over all their real tokens."""
        self.model.train()
        rate = self.rate(self.update + 1)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        for number, batch in enumerate(batches, start=1):
            with self._sync_only_at(number == len(batches)):
                with autocast(self.device, self.dtype):
                    loss = self.objective(batch.to(self.device))
                # DistributedDataParallel takes the mean over processes; times their number makes it the sum.
                self.scaler.scale(loss * (self.world.size / tokens)).backward()
            self.window_loss += loss.detach()
        if self.settings.clip:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        self.window_tokens += tokens
        self.update += 1

    def _sync_only_at(self, last: bool) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext() if last or self.world.size == 1 else self.objective.no_sync()

    def rate(self, update: int) -> float:
        """The learning rate of an update."""
        s = self.settings
        return learning_rate(update, s.schedule, s.peak, s.warmup, s.updates, s.cooldown, s.d_model)

    # ---- the loop ---------------------------------------------------------------------------------------------

    def run(
        self, report: Callable[[dict], None] = lambda record: None, stop: Callable[[], bool] = lambda: False
    ) -> None:
        """Trains to the last update, calling `report` with each metric record; stops after an update once `stop()`.

        Raises CourseError when the loss is no longer a finite number; the last checkpoint stays.
        """
        s = self.settings
        groups = self.batch_groups()
        clock = time.perf_counter()
        while self.update < s.updates and not self._out_of_patience():
            self.step(*next(groups))
            if self.device.type == "cuda" and self.update % s.log_every == 0:
                torch.cuda.synchronize(self.device)  # or the clock would time the launching, not the work
            now = time.perf_counter()
            self.seconds += now - clock
            self.window_seconds += now - clock
            last = self.update == s.updates
            if last or self.update % s.log_every == 0:
                report(self._log())
            if last or self.update % s.validate_every == 0:
                report(self._validate())
            halted = stop()
            if last or halted or self.update % s.checkpoint_every == 0:
                self._check_finite()
                self.save()
            if halted:
                return
            clock = time.perf_counter()  # validating and saving is not training
        if self.world.leads:
            self._finish()

    def _out_of_patience(self) -> bool:
        return 0 < self.settings.patience <= self.without_gain

    def _log(self) -> dict:
        loss = self._check_finite()
        record = {
            "kind": "train", "update": self.update, "loss": loss, "learning_rate": self.rate(self.update),
            "tokens_per_second": round(self.window_tokens / max(self.window_seconds, 1e-9), 1),
            "seconds": round(self.seconds, 3), "epoch": self.epoch,
        }  # fmt: skip
        self._clear_window()
        return self._record(record)

    def _check_finite(self) -> float:
        loss = float(add_up(self.window_loss.clone(), self.world)) / max(self.window_tokens, 1)
        if not math.isfinite(loss):
            saved = self.folder.checkpoint_files()
            way_out = f"the last good checkpoint is {saved[-1]}" if saved else "no checkpoint was written yet"
            raise CourseError(
                f"The loss became {loss} by update {self.update}: train again with a lower --peak, "
                f"a longer --warmup or --clip 1; {way_out}."
            )
        return loss

    def _record(self, record: dict) -> dict:
        if self.world.leads:
            self.folder.append_metric(record)
        return record

    def _validate(self) -> dict:
        loss = self.validation_loss()
        if loss < self.best_loss:
            self.best_loss, self.best_update, self.without_gain = loss, self.update, 0
            if self.world.leads:
                self._save_weights(self.folder.best_file)
        else:
            self.without_gain += 1
        record = {"kind": "valid", "update": self.update, "loss": loss, "perplexity": math.exp(min(loss, 700.0))}
        return self._record(record)

    def validation_loss(self) -> float:
        """Cross-entropy without smoothing on the validation set, in nats per token."""
        return corpus_loss(self.model, self.valid_batches, self.device, self.dtype)

    # ---- keeping and taking up again --------------------------------------------------------------------------

    def state(self) -> dict:
        """Everything that the rest of the run depends on."""
        return {
            "model": self.model.state_dict(),
            "vocabulary": digest(self.tokeniser),
            "corpus": self.train_batches.digest(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "generator": torch.get_rng_state(),
            "device_generator": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "window_loss": self.window_loss,
            **{name: getattr(self, name) for name in PLAIN_STATE},
        }

    def save(self) -> None:
        """Writes a checkpoint, then removes the ones no longer needed."""
        if not self.world.leads:
            return
        save_checkpoint(self.folder.checkpoint_file(self.update), self.state())
        for old in self.folder.checkpoint_files()[: -max(self.settings.keep, self.settings.average)]:
            old.unlink(missing_ok=True)

    def resume(self) -> int:
        """Takes up the newest readable checkpoint and returns its update; 0 when there is none."""
        if self.world.leads:
            self.folder.remove_leftovers()
        for path in reversed(self.folder.checkpoint_files()):
            state = load_checkpoint(path)
            check_vocabulary(state, self.tokeniser, path)
            if state["corpus"] != self.train_batches.digest():
                raise CheckpointError(
                    f"The training text is no longer the one that {path} was trained on: put the old files back, "
                    f"or train a new run."
                )
            load_weights(self.model, state["model"], path)
            self.optimiser.load_state_dict(state["optimiser"])
            self.scaler.load_state_dict(state["scaler"])
            torch.set_rng_state(state["generator"])
            if self.device.type == "cuda" and state["device_generator"] is not None:
                torch.cuda.set_rng_state(state["device_generator"], self.device)
            self.window_loss = state["window_loss"].to(self.window_loss)
            for name in PLAIN_STATE:
                setattr(self, name, state[name])
            break
        if self.world.leads:
            self.folder.cut_metrics(self.update)
        return self.update

    def _finish(self) -> None:
        """Writes model.safetensors: the mean of the last checkpoints if asked for, else the best on validation."""
        s = self.settings
        if s.average > 1:
            weights = average_weights(self.folder.checkpoint_files()[-s.average :])
            load_weights(self.model, weights, self.folder.final_file)
        elif self.folder.best_file.exists():
            load_weights(self.model, load_checkpoint(self.folder.best_file)["model"], self.folder.best_file)
        self._save_weights(self.folder.final_file)

    def _save_weights(self, path: Path) -> None:
        save_checkpoint(path, weights_state(self.model.state_dict(), self.tokeniser, self.update))


PLAIN_STATE = (
    "update", "epoch", "position", "best_loss", "best_update", "without_gain", "seconds", "window_tokens",
    "window_seconds",
)  # fmt: skip


@torch.no_grad()
def corpus_loss(
    model: nn.Module, batches: TokenBatches, device: torch.device, dtype: torch.dtype | None = None
) -> float:
    """Cross-entropy without smoothing over a whole corpus, in nats per real target token."""
    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    for batch in batches.epoch(0, shuffle=False):
        moved = batch.to(device)
        with autocast(device, dtype):
            total += float(summed_loss(model, moved.source, moved.target_input, moved.target_output, smoothing=0.0))
        tokens += batch.target_tokens
    model.train(was_training)
    return total / tokens
