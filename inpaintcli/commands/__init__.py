"""One module for each command or group of them: parse, call once, print."""
