"""From an address, or a description of one, to a suspect."""

from __future__ import annotations

import re
from pathlib import Path

from cemfp.suspects.base import SuspectError
from cemfp.suspects.names import is_address
from cemfp.suspects.network import open_inference, tf_serving
from cemfp.suspects.network.client import Client
from cemfp.suspects.network.connection import Connection
from cemfp.suspects.network.remote import Remote


def open_remote(spec: str, connection: Connection) -> Remote:
    """Open an address, or the file of a description; errors as below."""
    if is_address(spec):
        return open_address(spec, connection)
    return open_description(Path(spec), connection)


def open_address(address: str, connection: Connection) -> Remote:
    """Ask a server what its model takes and answers, and return the model as a suspect.

    Raises:
        NoAnswer: The server cannot be reached.
        SuspectError: It speaks nothing that is known, or says no.
    """
    if re.search("/v1/models/[^/]", address):
        client = Client(connection, address)
        return Remote(tf_serving.describe(client, address, connection.output), client)
    if re.search("/v2/models/[^/]", address):
        return open_inference.open_model(Client(connection, address), address, connection.output)
    raise SuspectError(
        "expected an address like http://host:8501/v1/models/NAME or http://host:8080/v2/models/"
        "NAME, or a description of the API in a .yaml file. Received: another address."
    )


def open_description(path: Path, connection: Connection) -> Remote:
    """Return the suspect that a YAML file describes; nothing is asked yet.

    Raises:
        SuspectError: The description is none.
    """
    from cemfp.suspects.network.description import load_yaml

    api = load_yaml(path)
    return Remote(api, Client(connection, api.url))
