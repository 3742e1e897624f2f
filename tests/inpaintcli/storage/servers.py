"""A server of files for the tests, a program: python servers.py sftp|ftp FOLDER, says its port.

On the loopback address, for one user; it sees that folder alone. In a process of its own, since
neither library closes all that it opens.
"""

import asyncio
import sys

USER, WORD = "tester", "of-no-use"


async def sftp(folder: str) -> None:
    """SFTP, by asyncssh."""
    import asyncssh

    class Doorkeeper(asyncssh.SSHServer):
        def password_auth_supported(self):
            return True

        def validate_password(self, username, password):
            return (username, password) == (USER, WORD)

    listener = await asyncssh.listen(
        "127.0.0.1", 0,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        server_factory=Doorkeeper,
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=folder.encode()),
    )  # fmt: skip
    tell(listener.get_port())
    await listener.wait_closed()


def ftp(folder: str) -> None:
    """FTP, by pyftpdlib."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import ThreadedFTPServer

    FTPHandler.authorizer = DummyAuthorizer()
    FTPHandler.authorizer.add_user(USER, WORD, folder, perm="elradfmwMT")
    server = ThreadedFTPServer(("127.0.0.1", 0), FTPHandler)
    tell(server.address[1])
    server.serve_forever()


def tell(port: int) -> None:
    """The line that says that the server listens."""
    sys.stdout.write(f"port {port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    kind, place = sys.argv[1:]
    if kind == "sftp":
        asyncio.run(sftp(place))
    else:
        ftp(place)
