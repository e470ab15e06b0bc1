"""What a command does with wrong input: the exit code that README's table names, what happened, what was done, and what to try next."""

import shlex
import shutil
from pathlib import Path

import pytest

from tests.tools.command import CLUSTER, Disk

Words = tuple[str, ...]

TABLE: list[tuple[str, int, str]] = [
    # Wrong usage: 2.
    ("bogus", 2, "there is no command 'bogus'; nothing was done. There is demo, "),
    ("stats", 2, "there is no command 'stats'; nothing was done. Did you mean status?"),
    ("log --bogus", 2, "unrecognized arguments: --bogus; nothing was done"),
    ("log -n 0", 2, "'0' is not a whole number of 1 or more; nothing was done"),
    ("log -f --interval -1", 2, "'-1' is not a number of seconds from 0.01 to 3600; nothing was done"),
    ("log -f --interval soon", 2, "'soon' is not a number of seconds"),
    ("log -k Nonsense", 2, "'Nonsense' is no kind of event; nothing was read"),
    ("log -S @20 -U @10", 2, "from @20 (@20) to @10 (@10) leads backwards; nothing was shown"),
    ("log -S HEAD -U HEAD~3", 2, "leads backwards; nothing was shown. Give the earlier place to -S"),
    ("log --after zz", 2, "'zz' is no selector"),
    ("show 17", 2, "'17' is no selector. Did you mean @17?"),
    ("state peers --at nonsense", 2, "'nonsense' is no selector"),
    ("state %ZZ", 2, "'%ZZ' is not percent-encoded: '%ZZ' stands for no byte; nothing was read. A percent sign itself is %25."),
    ("state peers/50%", 2, "is not percent-encoded: '%' stands for no byte"),
    ("state ''", 2, "has an empty part; nothing was read"),
    ("status -D ''", 2, "-D is given and empty; nothing was done"),
    ("status -c ''", 2, "-c is given and empty; nothing was done"),
    ("status --key-file ''", 2, "--key-file is given and empty; nothing was done"),
    ("verify /etc/passwd", 2, "/etc/passwd lies outside the store"),
    ("verify ../key", 2, "../key lies outside the store"),
    ("init -D {tmp}/file", 2, "/file is a file; nothing was made. Name a folder"),
    ("init -D {tmp}/no/such/folder", 2, "to make folder in; nothing was made"),
    ("init -D {tmp}/new --key-file {tmp}/new/key", 2, "lies inside the store's root"),
    ("backup", 2, "where to? Nothing was written. Give -O FILE."),
    ("backup -O {tmp}/file", 2, "there is a file"),
    ("backup -O {tmp}/b --recipient zz", 2, "--recipient is 64 hexadecimal digits; nothing was written"),
    ("fabric peers node-1", 2, "a document is for a cluster; nothing was issued"),
    ("fabric peers node-1 -c 'Bad!'", 2, "'Bad!' is not a cluster id; nothing was done"),
    ("fabric peers 'bad name!' -c lab -O {tmp}/d", 2, "these entries make no peers document (not a name: 1 to 64 of a-z"),
    ("fabric routes a=b=c! -c lab -O {tmp}/d", 2, "these entries make no routes document (not a name"),
    ("fabric policy foo=bar -c lab -O {tmp}/d", 2, "'foo' is no field of a policy; nothing was issued"),
    ("fabric head {tmp}/file -c lab -O {tmp}/d", 2, "these entries make no head document ("),
    ("fabric head {tmp} -c lab -O {tmp}/d", 2, "is a folder; nothing was done. Name a file."),
    ("completion zsh", 2, "invalid choice: 'zsh'"),
    # Nothing of that name: 3.
    ("status -D /etc/passwd", 3, "/etc/passwd is a file; nothing was read. A store is a folder: check the path."),
    ("status -D {tmp}/nope", 3, "there is no store in {tmp}/nope; nothing was read. Check the path."),
    ("status -c nowhere", 3, "the store holds no cluster nowhere (it holds lab); nothing was read"),
    ("state nope", 3, "there is no nope in this state; nothing was shown. There is identity, "),
    ("state peers/nope", 3, "there is no peers/nope in this state; nothing was shown"),
    ("state agent", 3, "Its events are in log --agent"),
    ("state peers --at @999999", 3, "@999999 selects nothing in lab: the last durable record is @"),
    (
        "state peers --at boot:-7",
        3,
        "boot:-7 selects nothing in lab: the history that is kept has 1 boot of this machine; boot:0 is the newest",
    ),
    ("state peers --at checkpoint:-9", 3, "; checkpoint:-1 is the newest"),
    ("show @0", 3, "@0 is the place before the first record"),
    ("verify clusters/nope", 3, "clusters/nope is not in this store, and nothing should be there; nothing was judged"),
    ("fabric head {tmp}/nope -c lab -O {tmp}/d", 3, "there is no file {tmp}/nope; nothing was done. Check the path."),
    ("restore {tmp}/nope -D {tmp}/new", 3, "there is no file {tmp}/nope; nothing was done. Check the path."),
    # A key that is not there, is none, or is another one: 11.
    ("status --key-file {tmp}/nope", 11, ""),
    ("log --key-file {tmp}/nope", 11, "there is no key file {tmp}/nope; nothing was opened. Check --key-file"),
    ("log --key-file {tmp}/file", 11, "does not hold 32 bytes, so it is no key; nothing was opened"),
    ("log --key-file {tmp}/other.key", 11, "it is another key than the one this store was sealed with"),
    ("verify --key-file {tmp}/nope", 11, "there is no key file {tmp}/nope; nothing was opened"),
    ("init --key-file {tmp}/nope", 11, "there is no key file {tmp}/nope; nothing was opened"),
]


@pytest.fixture
def around(lab: Disk, tmp_path: Path) -> Path:
    """A folder with a file, and a key of another store."""
    for name, content in (("file", b"text\n"), ("other.key", b"o" * 32)):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(("line", "code", "message"), TABLE, ids=[line for line, _code, _message in TABLE])
def test_wrong_input_exits_as_the_table_says_and_tells_why(line: str, code: int, message: str, lab: Disk, around: Path) -> None:
    result = lab.rap_state(*shlex.split(line.format(tmp=around)))
    assert (result.code, message.format(tmp=around) in result.err) == (code, True), result.err
    assert "bug in this program" not in result.err
    assert {path.name for path in around.iterdir()} <= {"file", "other.key", "d"}
    # An output file is opened before anything is known; nothing was written to it.
    assert not (around / "d").exists()
    if message:
        tried = [text for text in result.err.splitlines() if text.startswith("try: ")]
        assert len(tried) <= 1
        assert code not in (2, 11) or "--key-file" in line or len(tried) == 1


def test_a_store_that_is_there_already_is_left_alone_and_no_error(lab: Disk) -> None:
    result = lab.rap_state("init")
    assert (result.code, result.err) == (0, "")
    assert "already; nothing was made" in result.out


def test_the_wrong_key_is_told_of_each_file_that_it_does_not_open(lab: Disk, around: Path) -> None:
    result = lab.rap_state("verify", "--key-file", str(around / "other.key"))
    assert result.code == 11
    told = "the key that was given is not the one that this is sealed with; not judged (wrong_key)"
    assert f"agent/agent/keys-00000001: {told}" in result.out
    assert f"clusters/{CLUSTER}/identity/keys-00000001: {told}" in result.out
    assert "a key does not fit, or access was denied. Next: give the right key" in result.out


def test_a_strangers_file_is_told_as_that_and_not_as_damage(lab: Disk, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(lab.root, copy)
    stranger = copy / "clusters" / CLUSTER / "peers" / "README.txt"
    stranger.touch(0o600)
    result = lab.rap_state("verify", "-D", str(copy))
    assert result.code == 7
    assert f"clusters/{CLUSTER}/peers/README.txt: the store did not make this file (unexpected)" in result.out
    assert "exit 7: files lie in the store that it did not make, and everything that it made is what was written. " in result.out
    assert "Next: look at them and move them out of the store: nobody but the store writes there." in result.out


def test_before_the_first_record_there_is_nothing_and_the_first_is_named(lab: Disk) -> None:
    result = lab.rap_state("state", "peers", "--at", "@0")
    assert result.code == 0
    assert "nothing had happened before the first record, so there is nothing to see here. The first is @1." in result.err
