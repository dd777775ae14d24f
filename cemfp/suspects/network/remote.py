"""A suspect behind an address."""

from __future__ import annotations

from typing import Any

import numpy as np

from cemfp.suspects.network.answers import read_answer
from cemfp.suspects.network.api import Api
from cemfp.suspects.network.bodies import encode
from cemfp.suspects.network.client import Client
from cemfp.suspects.network.reading import parse_json
from cemfp.suspects.network.replies import Reply


class Remote:
    """Asks an API about images; a suspect.

    It asks once: who repeats a question that failed is `Pace`, who remembers is `Remembered`.

    Attributes:
        api: What is asked, and how.
        client: Who asks.
        input_shape: Of an image, if that is known.
        classes: Number of classes, if that is known.
        insists: Images that every question holds, if the server takes no other number. Fewer are
            filled up with the last one.
        pictures: Whether images are sent as files: in no other range of numbers than 0 to 255.
    """

    def __init__(self, api: Api, client: Client) -> None:
        self.api, self.client = api, client
        self.input_shape, self.classes = api.shape, api.classes
        self.insists, self.pictures = api.insists, api.pictures

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return labels (n,) or scores (n, C) of images (n, h, w, c), float32.

        Raises:
            TryAgain: There is no answer now, for a reason that passes.
            SuspectError: There is none.
        """
        size = self.insists or len(images)
        if len(images) > size:
            parts = [self(images[start : start + size]) for start in range(0, len(images), size)]
            return np.concatenate(parts)
        sent = np.concatenate([images, *[images[-1:]] * (size - len(images))])
        with self.client.secrets.hiding():
            content, headers = self._encode(sent)
            reply = self.client.ask("POST", self.api.url, content, {**self.api.headers, **headers})
            return read_answer(self.api, self._parse(reply), len(sent))[: len(images)]

    def _encode(self, images: np.ndarray) -> tuple[bytes, dict[str, str]]:
        return encode(self.api, images)

    def _parse(self, reply: Reply) -> Any:
        return parse_json(reply.body)
