"""Which device trains, in which precision, and what a person should know about it beforehand."""

import contextlib
import os

import torch

from utils.errors import ConfigError

DEVICES = ("auto", "cuda", "mps", "cpu")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def choose_device(wanted: str = "auto") -> torch.device:
    """CUDA if there is one, else MPS, else the CPU; or the one asked for, if it is there."""
    if wanted not in DEVICES:
        raise ConfigError(f"device is {wanted!r}: good values are {', '.join(DEVICES)}.")
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        wanted = next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[wanted]:
        usable = ", ".join(["auto", *(name for name, usable in there.items() if usable)])
        raise ConfigError(f"device is {wanted!r}, but PyTorch finds none on this machine: good values are {usable}.")
    if wanted == "cuda":
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device(wanted)


def choose_precision(wanted: str, device: torch.device) -> torch.dtype | None:
    """The dtype to autocast to, or None for plain float32.

    "auto" takes bf16 where the GPU has it, fp16 on other CUDA GPUs, and float32 elsewhere: autocast on a CPU without
    bf16 units was measured to be 60 times slower.
    """
    if wanted not in PRECISIONS:
        raise ConfigError(f"precision is {wanted!r}: good values are {', '.join(PRECISIONS)}.")
    if wanted == "fp32" or (wanted == "auto" and device.type != "cuda"):
        return None
    if device.type != "cuda":
        raise ConfigError(f"precision is {wanted!r}, but on {device.type} only fp32 pays: take auto or fp32.")
    if wanted == "auto":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if wanted == "bf16" else torch.float16


def autocast(device: torch.device, dtype: torch.dtype | None) -> contextlib.AbstractContextManager:
    """The autocast context for a precision; none for float32."""
    return contextlib.nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)


def gpu_present() -> bool:
    """Whether the machine has an NVIDIA GPU, even one that this PyTorch cannot use."""
    return torch.cuda.is_available() or os.path.exists("/proc/driver/nvidia/version") or os.path.exists("/dev/nvidia0")


def device_advice(device: torch.device, preset: str, minutes_on_cpu: float | None) -> str | None:
    """A sentence about the device that a person would want before a run starts; None when all is well."""
    if device.type != "cpu":
        return None
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return "This machine has a GPU and this run does not use it: leave --device at auto to train there."
    if gpu_present():
        return (
            "This machine has an NVIDIA GPU that this PyTorch cannot use: install a CUDA build of torch "
            "(pytorch.org, 'Get Started') to train there."
        )
    if minutes_on_cpu is None:
        return f"No GPU was found: preset {preset} is not meant for a CPU and will take days there."
    return f"No GPU was found: training on the CPU, about {minutes_on_cpu:g} minutes on 2 cores for preset {preset}."
