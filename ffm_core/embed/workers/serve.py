"""Serve a checkpoint through torch; run as a process of its own, for as long as it is asked.

``python -m ffm_core.embed.workers.serve PARENT`` ends with the process of that number.
Messages come on standard input and go out on standard output. The first names the
checkpoint; the answer says what was loaded. After that each message carries at most one
batch of windows, and tokens or quantiles come back. The end of input ends the process.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ffm_core.embed.session import BATCH_ROWS
from ffm_core.embed.workers.protocol import PROTOCOL, Message, failed, packed, unpacked
from ffm_core.errors import FFMError, ModelError
from ffm_core.processes import end_with, messages, read_message, write_message
from ffm_core.types import Float32

if TYPE_CHECKING:
    from ffm_core.embed.workers.reference import Reference


def answer(reference: Reference, request: Message, body: bytes) -> Float32:
    """Return what a request asks for; the batch is always padded to the same rows."""
    rows, context = request["rows"], request["context"]
    config = reference.model.chronos_config
    if context % config.input_patch_size or not 0 < context <= config.context_length:
        raise ModelError(
            f"the model takes windows that are a multiple of {config.input_patch_size} bars up to "
            f"{config.context_length}, got {context}",
            fix=f"choose a context that is a multiple of {config.input_patch_size}",
        )
    given = np.zeros((BATCH_ROWS, context), dtype=np.float32)
    given[:rows] = np.frombuffer(body, dtype="<f4").reshape(rows, context)
    asked = reference.tokens if request["ask"] == "tokens" else reference.quantiles
    return asked(given)[:rows]


def hello(reference: Reference) -> Message:
    """Return what was loaded and how it runs."""
    config = reference.model.chronos_config
    return {
        "kind": "hello",
        "protocol": PROTOCOL,
        "model": str(reference.folder),
        "weights": reference.sha256,
        "pool": "none",  # tokens go out; the host pools them
        "context": config.context_length,
        "dtype": "float32",
        "device": "cpu",
    }


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until the input ends."""
    job, _ = unpacked(read_message(source))
    # Seconds, in which the host may already have gone.
    import torch

    from ffm_core.embed.workers.reference import Reference

    torch.set_num_threads(job["threads"])
    try:
        reference = Reference(job["checkpoint"], rounded=job["rounded"])
        write_message(sink, packed(hello(reference)))
    except FFMError as error:
        write_message(sink, packed(failed(error)))
        return
    while True:
        try:
            request, body = unpacked(read_message(source))
        except EOFError:
            return
        try:
            found = answer(reference, request, body)
        except FFMError as error:
            write_message(sink, packed(failed(error)))
            continue
        header: dict[str, Any] = {"kind": "rows", "shape": list(found.shape)}
        rows = np.ascontiguousarray(found, dtype="<f4").tobytes()
        write_message(sink, packed(header, rows))


def main() -> None:
    """Keep standard output to messages: whatever a library prints goes to standard error."""
    end_with(int(sys.argv[1]))
    with messages() as (source, sink):
        sys.stdout = sys.stderr
        serve(source, sink)


if __name__ == "__main__":
    main()
