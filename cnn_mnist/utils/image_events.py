"""Pictures for TensorBoard: an event file of images, made without TensorFlow."""

import io
import os
import socket
import struct
import time
from collections.abc import Mapping

# A PNG's type of colours -> the channels that TensorBoard is told of.
CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}


def event_file(pictures: Mapping[str, bytes], step: int, prefix: str) -> dict[str, bytes]:
    """A new event file with PNG files under the tags `prefix/name`: its name and its content.

    Args:
      pictures: the PNG files by name.
      step: the global step at which they are shown.
    """
    # Not before it is needed: this loads TensorFlow.
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    values = []
    for name, picture in pictures.items():
        # Of the PNG's first chunk, IHDR.
        width, height, _, colours = struct.unpack(">IIBB", picture[16:26])
        size = {"width": width, "height": height, "colorspace": CHANNELS[colours]}
        item = Summary.Image(encoded_image_string=picture, **size)
        values.append(Summary.Value(tag=f"{prefix}/{name}", image=item))
    now, content = time.time(), io.BytesIO()
    writer = RecordWriter(content)
    writer.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
    event = Event(wall_time=now, step=step, summary=Summary(value=values))
    writer.write(event.SerializeToString())
    name = f"events.out.tfevents.{now:020.9f}.{socket.gethostname()}.{os.getpid()}"
    return {name: content.getvalue()}
