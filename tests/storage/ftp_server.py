"""A real FTP server in a thread, as the other machine of a store's tests."""

import logging
import threading
import warnings


class Server:
    """Serves `folder` to user `me` with password `secret` from creation to `stop`.

    `commands` are all that it was asked, the names only. A `read_only` server refuses to write, one
    without `may_delete` to delete.
    """

    def __init__(self, folder, port=0, read_only=False, may_delete=True):
        with warnings.catch_warnings():
            # asyncore and asynchat, which it builds on in Python 3.11
            warnings.simplefilter("ignore", DeprecationWarning)
            from pyftpdlib.authorizers import DummyAuthorizer
            from pyftpdlib.handlers import FTPHandler
            from pyftpdlib.servers import FTPServer
        logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)
        users = DummyAuthorizer()
        permissions = "elr" if read_only else "elradfmwMT"
        permissions = permissions if may_delete else permissions.replace("d", "")
        users.add_user("me", "secret", str(folder), perm=permissions)
        self.commands = commands = []

        class Handler(FTPHandler):
            authorizer = users
            auth_failed_timeout = 0

            def pre_process_command(self, line, cmd, arg):
                commands.append(cmd)
                super().pre_process_command(line, cmd, arg)

        self.folder = folder
        self._server = FTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.address[1]
        self.uri = f"ftp://me:secret@127.0.0.1:{self.port}/team/study"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while not self._ended.is_set():
            self._server.serve_forever(timeout=0.02, blocking=False)
        self._server.close_all()

    def stop(self):
        """Drop all connections and end."""
        self._ended.set()
        self._thread.join()
