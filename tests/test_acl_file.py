"""The ACL file: what is read, what is wrong with it, and a server that loads and saves it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import RedisError
from router import acl_file
from router.acl_user import User
from tests import access
from tests.reference import Reference
from tests.resp_client import Error, Status
from tests.servers import Server, Shardis

TABLE = access.table()
OK = Status(b"OK")


def loaded(path: Path, text: str) -> dict[str, User]:
    path.write_text(text)
    return acl_file.load(str(path), str(path), lambda name: User(name, TABLE), new_with_channels=False)


def test_lines(tmp_path: Path) -> None:
    users = loaded(tmp_path / "a", '\nuser alice  on >x ~a\n\t user bob (+get ~b) \r\nuser "a\n')
    assert list(users) == ["alice", "bob", '"a']
    assert users["bob"].text() == b"off resetchannels -@all (~b resetchannels -@all +get)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alice on", "{file}:1 should start with user keyword followed by the username. "),
        ("\nuser", "{file}:2 should start with user keyword followed by the username. "),
        ("user a on\n# mine", "{file}:2 should start with user keyword followed by the username. "),
        ('user "a b"', "{file}:1: Syntax error. "),
        ("user a\tb", "'{file}:1: username 'a\tb' contains invalid characters. "),
        (
            "user a +nosuch foo bar -@none",
            "{file}:1: Error in applying operation '+nosuch': Unknown command or category name in ACL. "
            "{file}:1: Syntax error. "
            "{file}:1: Error in applying operation '-@none': Unknown command or category name in ACL. ",
        ),
        ("user a foo\nuser b foo", "{file}:1: Syntax error. {file}:2: Syntax error. "),
        ("user a\nuser a", "WARNING: Duplicate user 'a' found on line 2. "),
        ("user a (+get", "{file}:1: Unmatched parenthesis in selector definition."),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a"
    with pytest.raises(acl_file.Faulty) as caught:
        loaded(path, text)
    assert str(caught.value) == said.format(file=path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = str(tmp_path / "none" / "a")
    with pytest.raises(acl_file.Faulty):
        acl_file.load(path, path, lambda name: User(name, TABLE), new_with_channels=False)
    with pytest.raises(RedisError) as caught:
        acl_file.save(path, [b"user a off"])
    assert str(caught.value) == acl_file.NOT_SAVED


def test_a_server_with_a_file(start: Callable[[Server], Server], tmp_path: Path) -> None:
    path = tmp_path / "users.acl"
    path.write_text("user alice on nopass +@all ~* &a\nuser bob on nopass +@all ~*\n")
    server = start(Shardis(shards=2, folder=tmp_path, aclfile="users.acl"))
    with server.connect() as client, server.connect() as alice, server.connect() as bob:
        assert client.call("ACL", "USERS") == [b"alice", b"bob", b"default"]
        assert client.call("CONFIG", "GET", "aclfile") == [b"aclfile", b"users.acl"]
        assert alice.call("AUTH", "alice", "x") == bob.call("AUTH", "bob", "x") == OK
        alice.call("SUBSCRIBE", "a")
        client.call("ACL", "SETUSER", "carol", ">x", "+get")
        assert client.call("ACL", "SAVE") == OK
        saved = b"".join(line + b"\n" for line in client.call("ACL", "LIST"))
        assert path.read_bytes() == saved

        path.write_text("user alice on nopass +@all ~* &b\nuser dave on +nosuch\nuser\n")
        place = "users.acl"
        wrong = f"{place}:2: Error in applying operation '+nosuch': Unknown command or category name in ACL. "
        wrong += f"{place}:3 should start with user keyword followed by the username. {acl_file.NO_CHANGE}"
        assert client.call("ACL", "LOAD") == Error(f"ERR {wrong}".encode())
        assert client.call("ACL", "USERS") == [b"alice", b"bob", b"carol", b"default"]

        path.write_text("user alice on nopass +@all ~* &b\nuser default on nopass +@all ~*\n")
        assert client.call("ACL", "LOAD") == OK
        assert client.call("ACL", "LIST")[1] == b"user default on nopass ~* resetchannels +@all"
        for gone in (alice, bob):  # One hears what it may not hear any more, the other is none.
            with pytest.raises(OSError):
                gone.call("PING")
    server.stop()
    path.write_bytes(saved)
    with start(server).connect() as client:
        assert b"".join(line + b"\n" for line in client.call("ACL", "LIST")) == saved


@pytest.mark.parametrize(
    "text",
    [
        "alice on",
        "user",
        "user a +nosuch foo\nuser b foo bar",
        'user "a b" on',
        "user a\tb on",
        "user a\nuser a",
        "user a (+get",
        "user a (+nosuch) (foo)",
        "user a ~* ~b &* &c\n# c",
        'user "a\n\n user  b on \nuser c >x <y',
        "user c  on   >x ( +get  ~a )",
    ],
)
def test_as_the_reference(start: Callable[[Server], Server], tmp_path: Path, text: str) -> None:
    replies = []
    for name, kind in (("mine", Shardis), ("theirs", Reference)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "u.acl").write_text("user a on\n")
        server = start(kind(folder=folder, aclfile="u.acl"))
        (folder / "u.acl").write_text(text)
        with server.connect() as client:
            replies.append((client.call("ACL", "LOAD"), client.call("ACL", "LIST")))
    assert replies[0] == replies[1]
