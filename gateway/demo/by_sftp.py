"""A sender over SFTP: a contractor puts his file into the drop and reads what became of it beside it."""

import base64
import hashlib
from collections.abc import Sequence

import msgspec
import paramiko

from gateway.demo import sendings
from gateway.demo.invented import Metered
from gateway.demo.sendings import Sending
from gateway.demo.stage import Failed, Json


class Contractor:
    """One contractor at the drop; `door`: its address and the fingerprint of its key, as the gateway says it."""

    def __init__(self, door: str, login: str, password: str, period: str, zone: str) -> None:
        """Come in. Raises Failed when the drop is not the one that was named."""
        self.period, self.zone = period, zone
        address, _, fingerprint = door.partition(" ")
        host, _, port = address.removeprefix("sftp://").rpartition(":")
        self._name = ""
        try:
            self._transport = paramiko.Transport((host, int(port)))
            self._transport.start_client(timeout=20)
            key = self._transport.get_remote_server_key().asbytes()
            if fingerprint != f"SHA256:{base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip('=')}":
                raise Failed(f"the drop at {address} has another key than {fingerprint}")
            self._transport.auth_password(login, password)
            self._files = paramiko.SFTPClient.from_transport(self._transport)
        except (paramiko.SSHException, OSError) as error:
            raise Failed(f"the drop at {address}: {error}") from error

    def send(self, sending: Sending, meters: Sequence[Metered]) -> None:
        """Upload the archive."""
        self._name = f"archive_{self.period}.csv"
        content = sendings.heat(meters, self.period, self.zone)
        try:
            with self._client().open(f"/in/{self._name}", "wb") as file:
                file.write(content)
        except (paramiko.SSHException, OSError) as error:
            raise Failed(f"{sending.utility}: the upload failed: {error}") from error

    def look(self) -> Json:
        """What stands in `NAME.status.json` now; nothing while there is none."""
        try:
            with self._client().open(f"/out/{self._name}.status.json", "rb") as file:
                return msgspec.json.decode(file.read(), type=Json)
        except FileNotFoundError:
            return {}
        except (paramiko.SSHException, OSError) as error:
            raise Failed(f"the status of {self._name} cannot be read: {error}") from error

    def close(self) -> None:
        """Leave."""
        self._transport.close()

    def _client(self) -> paramiko.SFTPClient:
        if self._files is None:
            raise Failed("the drop has no SFTP")
        return self._files
