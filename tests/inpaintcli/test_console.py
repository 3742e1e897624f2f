"""Standard output is for data, standard error for people, bars for terminals."""

import io
import json
import sys

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
