"""The one pipeline under every command: a picture and a mask in, a filled picture out."""
