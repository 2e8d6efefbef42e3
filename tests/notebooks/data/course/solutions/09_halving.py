# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 09 · Halving (§9.9)
#
# A chapter that only the tests read: it has one of everything.

# %% tags=["setup"]
# The set-up cell is written by the build.

# %% [markdown]
# ## By hand → loop
#
# Half of 1 is ½.
#
# ```python
# # no heading, for it stands in a fence
# ```

# %%
start = 1.0
for step in range(3):
    start = start / 2.0
print(f"after three steps: {start:.3f}")

# %% tags=["folded"]
predict("9.a", "What is half of 3?")

# %%
object()

# %% [markdown]
# ## Exercises
#
# ### One half


# %%
# Exercise 9.1: one half
def half(number):
    """Half of a number (Eq. 9).

    number: (…). Returns (…).
    """
    ### BEGIN SOLUTION
    factor = 0.5
    result = number * factor
    ### END SOLUTION
    return result


# %%
check("9.1", half)

# %%
hint("9.1")

# %% [markdown]
# ### A class with two gaps


# %%
# Exercise 9.2: a halver that counts
class Halver:
    """Halves, and counts how often."""

    def __init__(self):
        """Starts at nought."""
        ### BEGIN SOLUTION
        self.count = 0
        ### END SOLUTION

    def __call__(self, number):
        """Half of a number; counts the call."""
        if number is None:
            ### BEGIN SOLUTION
            # nothing to halve
            return None
            ### END SOLUTION
        self.count += 1
        return half(number)


# %%
check("9.2", Halver)

# %%
halver = Halver()
print([halver(number) for number in (1.0, 7.0)], halver.count)

# %% [markdown]
# ## See

# %% tags=["machine"]
import time

print(f"{time.perf_counter():.6f} s")

# %%
import base64
import struct
import zlib

from IPython.display import Image, display


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
text = chunk(b"tEXt", b"Time\x00" + str(time.time_ns()).encode())
pixel = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + text + chunk(b"IDAT", zlib.compress(b"\x00\x80")) + chunk(b"IEND", b"")
display(Image(pixel))

# %% tags=["raises-exception"]
raise ValueError("halving a word makes no sense")

# %% [markdown]
# ## Recap
#
# Half is half.
