"""Standard output is for data, standard error for people, bars for terminals."""

import io
import json
import subprocess
import sys

import pytest

from inpaintcli.console import Console, ConsoleReport, rate_in_words


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_data_and_messages_go_their_ways(capsys):
    console = Console(json=True)
    console.data("a line")
    console.record({"schema": 1, "name": "Blümchen"})
    console.say("a message")
    console.detail("not without -v")
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "a line"
    assert json.loads(out.splitlines()[1])["name"] == "Blümchen"
    assert err == "a message\n"


def test_quiet_and_verbose(capsys):
    Console(quiet=True).say("nothing")
    Console(verbose=True).detail("something")
    Console().record({"only": "with --json"})
    out, err = capsys.readouterr()
    assert (out, err) == ("", "something\n")


def test_a_bar_is_for_terminals_only(monkeypatch, capsys):
    with Console().bar(9) as bar:
        bar.advance()
    assert capsys.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Console().bar(9) as bar:
        bar.advance()
    assert terminal.getvalue()
    silent = Terminal()
    monkeypatch.setattr(sys, "stderr", silent)
    with Console(quiet=True).bar(9) as bar:
        bar.advance()
    assert silent.getvalue() == ""


def test_names_that_are_not_utf8_do_not_end_the_program(capsys):
    console = Console(json=True)
    console.record({"input": "caf\udce9.png"})
    console.data("caf\udce9.png")
    line, text = capsys.readouterr().out.splitlines()
    assert json.loads(line)["input"] == "caf\udce9.png"
    assert text == "caf\\udce9.png"


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-9"])
def test_json_lines_can_be_read_whatever_standard_output_can_encode(monkeypatch, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    Console(json=True).record({"input": "\u00e4\u0142.png"})
    assert json.loads(stream.buffer.getvalue()) == {"input": "\u00e4\u0142.png"}


def test_a_terminal_does_not_obey_what_names_hold(capsys):
    Console().say("a\x1b]0;title\x07\x9bK.png: no mask\n\tand more \u00e4")
    assert capsys.readouterr().err == "a\\x1b]0;title\\x07\\x9bK.png: no mask\n\tand more \u00e4\n"


def test_a_rate_comes_in_the_unit_that_can_be_read():
    assert rate_in_words(12.34) == "12.3 photos a second"
    assert rate_in_words(0.5) == "30.0 photos a minute"
    assert rate_in_words(0.001) == "3.6 photos an hour"


def test_a_report_shows_a_bar_on_terminals_until_it_is_done(monkeypatch, capsys):
    report = ConsoleReport(Console())
    report.note("a note")
    report.progress("building", 0.5)
    assert capsys.readouterr().err == "a note\n"
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    report.progress("building", 0.5)
    assert "building" in terminal.getvalue()
    report.progress("building", 1.0)
    assert not report._bars


class LostTerminal(Terminal):
    def write(self, _):
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("stream", [None, LostTerminal()])
def test_bars_on_a_lost_or_closed_standard_error_change_nothing(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    with Console().bar(9) as bar:
        bar.advance()
        Console().say("a message")
    report = ConsoleReport(Console())
    report.progress("building", 0.5)
    report.progress("building", 1.0)


def test_under_a_bar_data_stays_on_standard_output_whole(monkeypatch):
    out, terminal = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", terminal)
    console = Console(json=True)
    with console.bar(9) as bar:
        console.record({"input": "x" * 500})
        bar.advance()
    assert json.loads(out.getvalue())["input"] == "x" * 500
    assert out.getvalue().count("\n") == 1
    assert terminal.getvalue()


def test_no_bar_crosses_lines_on_the_same_terminal(monkeypatch):
    out, terminal = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", terminal)
    with Console(json=True).bar(9) as bar:
        bar.advance()
    assert terminal.getvalue() == ""


def test_a_closed_standard_stream_keeps_its_number(tmp_path):
    code = (
        "import os; os.close(2)\n"
        "from inpaintcli.console import open_missing_streams\n"
        "open_missing_streams()\n"
        f"print(os.open({str(tmp_path / 'x')!r}, os.O_CREAT | os.O_WRONLY))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert int(done.stdout) > 2
